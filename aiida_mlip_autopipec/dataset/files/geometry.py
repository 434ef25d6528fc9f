"""Structures without labels in files: CIF, POSCAR, inputs of pw.x, and all formats of labelled structures."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.io import read

from . import READ_NAMES, read_file

_DATA_BLOCK = re.compile(rb"^\s*data_", re.IGNORECASE | re.MULTILINE)

_FULL = 0.999
"""Smallest occupancy of a site that counts as full; some programs write 0.9999."""

GEOMETRY_NAMES = (".cif", "POSCAR", "CONTCAR", ".vasp", ".pwi", ".in (pw.x)")


def read_geometries(path: Path) -> list[Atoms]:
    """Return the structures of a file, with their labels if it has any.

    :raises ValueError: if the file does not exist, cannot be read, is empty, or has disordered sites; the message names the
        file, the frame and the site.
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
    except _DisorderError as error:
        raise ValueError(f"{path}: {error}") from error
    except Exception as error:  # a damaged file can raise anything
        # An assertion of a reader has no message, or one in Python.
        text = "" if isinstance(error, AssertionError) else str(error)
        reason = " ".join(text.split())[:300] or "its content cannot be read"
        raise ValueError(f"{path}: damaged, or not in the format of its name: {reason}") from error
    if not found:
        raise ValueError(f"{path}: contains no structures")
    return found


class _DisorderError(ValueError):
    """A site that is not fully occupied by one element."""


def _read_labelled(path: Path) -> list[Atoms]:
    try:
        return read_file(path).frames
    except ValueError as error:
        if "must end in" in str(error):
            allowed = ", ".join((*GEOMETRY_NAMES, *READ_NAMES))
            raise ValueError(f"{path}: unknown format; the name must end in or be one of {allowed}") from error
        raise


def _reader_of(path: Path) -> Callable[[Path], list[Atoms]] | None:
    name = path.name.upper()
    if name.endswith(".CIF"):
        return _read_cif
    if name.startswith(("POSCAR", "CONTCAR")) or name.endswith((".VASP", ".POSCAR", ".CONTCAR")):
        return lambda file: _frames(read(file, ":", format="vasp"))
    if name.endswith((".PWI", ".IN")):
        return lambda file: _frames(read(file, ":", format="espresso-in"))
    return None


def _frames(found: Atoms | list[Atoms]) -> list[Atoms]:
    return [found] if isinstance(found, Atoms) else list(found)


def _read_cif(path: Path) -> list[Atoms]:
    from ase.io.cif import parse_cif

    if not _DATA_BLOCK.search(path.read_bytes()):
        raise ValueError("it has no CIF data block (a line that begins with data_)")
    found: list[Atoms] = []
    for block in parse_cif(str(path)):
        if not block.has_structure():
            continue
        _check_occupancies(block, len(found))
        found.append(block.get_atoms(store_tags=False, primitive_cell=False, fractional_occupancies=False))
    return found


def _check_occupancies(block: Mapping[str, Any], frame: int) -> None:
    """Raise an error that names the first site that is not fully occupied."""
    occupancies = block.get("_atom_site_occupancy") or []
    labels = block.get("_atom_site_label") or block.get("_atom_site_type_symbol") or []
    for number, occupancy in enumerate(occupancies):
        if isinstance(occupancy, int | float) and occupancy < _FULL:
            site = labels[number] if number < len(labels) else str(number)
            raise _DisorderError(
                f"frame {frame}, site {site}: occupancy {occupancy:g}; disordered crystals cannot be computed: replace them by "
                "an ordered supercell"
            )
