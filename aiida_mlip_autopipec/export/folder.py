"""A folder that appears complete or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..config.errors import UserError


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder that becomes `path` at the end.

    :raises UserError: if the path exists already and is not an empty folder, or cannot be written.
    """
    if path.is_symlink() or (path.exists() and not (path.is_dir() and not any(path.iterdir()))):
        raise UserError(f"{path} exists already: name a folder that does not exist yet")
    if not path.parent.is_dir():
        raise UserError(f"{path} cannot be written: there is no folder {path.parent}")
    try:
        with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=path.parent) as parent:
            temporary = Path(parent) / path.name
            temporary.mkdir()
            yield temporary
            temporary.replace(path)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}") from error
