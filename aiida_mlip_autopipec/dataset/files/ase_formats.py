"""ASE's own formats: its database (SQLite) and its trajectory.

Neither format has a checksum. Files written here contain a checksum of all numbers, which :func:`read_database` and
:func:`read_trajectory` verify; files from other programs cannot be verified.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.db import connect
from ase.io.trajectory import Trajectory

from ..traj_file import write_traj
from .checks import checksum
from .frames import RawFrame, raw_frame

CHECKSUM = "mlip_autopipec_sha256"
"""Name of the checksum in the metadata of a database and in the description of a trajectory."""

_SEARCHABLE = ("family", "split", "group")
"""Keys of ``atoms.info`` by which the rows of a database can be searched."""

_AMBIGUOUS = ("true", "false", "t", "f", "nan", "inf", "infinity")
"""Text that ASE would read as a truth value or a number."""


def write_database(path: Path, frames: Sequence[Atoms]) -> None:
    """Write labelled structures and their checksum."""
    with connect(path, type="db", append=False, use_lock_file=False) as database:
        for atoms in frames:
            searchable = {key: atoms.info[key] for key in _SEARCHABLE if _is_searchable(atoms.info.get(key))}
            database.write(atoms, key_value_pairs=searchable, data={"info": atoms.info})
        database.metadata = {CHECKSUM: checksum(frames)}


def read_database(path: Path) -> Iterator[RawFrame]:
    """Yield the rows of a database.

    :raises ValueError: if the rows do not match the stored checksum.
    """
    _check_magic(path, b"SQLite format 3\0", "an SQLite database")
    with connect(path, type="db", use_lock_file=False) as database:
        stored = (database.metadata or {}).get(CHECKSUM)
        read: list[Atoms] = []
        for row in database.select():
            atoms = row.toatoms()
            data = {key: value for key, value in row.data.items() if key != "info"}
            atoms.info = {**row.key_value_pairs, **row.data.get("info", {})}
            if stored is not None:
                read.append(atoms)
            yield raw_frame(atoms, data.items())
    _verify(stored, read)


def write_trajectory(path: Path, frames: Sequence[Atoms]) -> None:
    """Write labelled structures and their checksum."""
    write_traj(path, frames, {CHECKSUM: checksum(frames)})


def read_trajectory(path: Path) -> Iterator[RawFrame]:
    """Yield the frames of a trajectory.

    :raises ValueError: if the frames do not match the stored checksum.
    """
    _check_magic(path, b"- of Ulm", "a trajectory of ASE")
    with Trajectory(path, "r") as trajectory:
        stored = (trajectory.description or {}).get(CHECKSUM)
        read: list[Atoms] = []
        for index in range(len(trajectory)):
            atoms = trajectory[index]
            if stored is not None:
                read.append(atoms)
            yield raw_frame(atoms)
    _verify(stored, read)


def _verify(stored: Any, read: Sequence[Atoms]) -> None:
    if stored is not None and stored != checksum(read):
        raise ValueError(
            "its structures do not match its checksum: it is damaged, or another program has changed it (write "
            "intended changes to a new file, which ASE does without the checksum)"
        )


def _check_magic(path: Path, magic: bytes, kind: str) -> None:
    with path.open("rb") as file:
        if file.read(len(magic)) != magic:
            raise ValueError(f"is not {kind}")


def _is_searchable(value: str | bool | int | float | None) -> bool:
    """Tell whether ASE accepts a value in a key-value pair: no text that it would read as another type."""
    if isinstance(value, str):
        return re.fullmatch(r"[A-Za-z][\w .-]*", value) is not None and value.lower() not in _AMBIGUOUS
    return isinstance(value, int)
