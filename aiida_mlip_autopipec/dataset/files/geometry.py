"""Structures without labels in files: CIF, POSCAR, inputs of pw.x, and all formats of labelled structures."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

from ase import Atoms

from . import READ_NAMES, read_file
from .cif import CifError, read_cif
from .inputs import InputError, read_poscar, read_pw_input

GEOMETRY_NAMES = (".cif", "POSCAR", "CONTCAR", ".vasp", ".pwi", ".in (pw.x)")


def read_geometries(path: Path) -> list[Atoms]:
    """Return the structures of a file, without labels.

    :raises ValueError: if the file does not exist, cannot be read, is empty, or is refused (disordered sites, ambiguous
        symmetry, missing sites); the message names the file, the frame and the site.
    """
    if not path.is_file():
        raise ValueError(f"{path}: there is no such file")
    if path.stat().st_size == 0:
        raise ValueError(f"{path}: the file is empty")
    reader = _reader_of(path)
    if reader is None:
        return _read_labelled(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = reader(path)
    except (CifError, InputError) as error:
        raise ValueError(f"{path}: {error}") from error
    except Exception as error:  # a damaged file can raise anything
        # An assertion of a reader has no message, or one in Python.
        text = "" if isinstance(error, AssertionError) else str(error)
        reason = " ".join(text.split())[:300] or "its content cannot be read"
        raise ValueError(f"{path}: damaged, or not in the format of its name: {reason}") from error
    if not found:
        raise ValueError(f"{path}: contains no structures")
    return found


def _read_labelled(path: Path) -> list[Atoms]:
    try:
        return read_file(path, with_labels=False).frames
    except ValueError as error:
        if "must end in" in str(error):
            allowed = ", ".join((*GEOMETRY_NAMES, *READ_NAMES))
            raise ValueError(f"{path}: unknown format; the name must end in or be one of {allowed}") from error
        raise


def _reader_of(path: Path) -> Callable[[Path], list[Atoms]] | None:
    name = path.name.upper()
    if name.endswith(".CIF"):
        return read_cif
    if name.startswith(("POSCAR", "CONTCAR")) or name.endswith((".VASP", ".POSCAR", ".CONTCAR")):
        return read_poscar
    if name.endswith((".PWI", ".IN")):
        return read_pw_input
    return None
