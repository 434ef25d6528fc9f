"""The codes of the portable programs, stored in the database if missing or outdated."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

from aiida import orm

from .. import __version__
from ..host.profile import exclusive_lock
from .catalogue import PROGRAMS

JOBS = Path(__file__).parents[1] / "jobs"
"""The folder of the portable programs and of the modules that are uploaded with them."""


def ensure_code(name: str) -> orm.PortableCode:
    """Return the code of a portable program with its current files; store it if it is new."""
    content = _files_of(name, *PROGRAMS[name].modules)
    query = orm.QueryBuilder().append(orm.PortableCode, filters={"label": name}, tag="code", project=["*"])
    query.order_by({"code": {"id": "desc"}})
    with exclusive_lock():
        for (code,) in query.all():
            if _content_of(code) == content:
                return code
        return _new_code(name, content).store()


def _files_of(*names: str) -> dict[str, bytes]:
    """Return the content of programs and folders of modules by path, without Python's caches."""
    paths = [path for name in names for path in (JOBS / name, *(JOBS / name).rglob("*")) if path.is_file()]
    return {path.relative_to(JOBS).as_posix(): path.read_bytes() for path in paths if "__pycache__" not in path.parts}


def _content_of(code: orm.PortableCode) -> dict[str, bytes]:
    repository = code.base.repository
    return {
        str(root / name): repository.get_object_content(str(root / name), mode="rb")
        for root, _, names in repository.walk()
        for name in names
    }


def _new_code(name: str, content: dict[str, bytes]) -> orm.PortableCode:
    with warnings.catch_warnings():
        # AiiDA warns without a folder of files, but would store Python's caches from one.
        warnings.simplefilter("ignore")
        code = orm.PortableCode(label=name, filepath_executable=name)
    for path, data in content.items():
        code.base.repository.put_object_from_filelike(io.BytesIO(data), path)
    code.description = f"The portable program {name} of aiida-mlip-autopipec {__version__}"
    return code
