"""Data files of pacemaker: a gzipped, pickled ``pandas.DataFrame`` of structures and labels."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from ase import Atoms

from ..fingerprint import is_free_atom
from .frames import RawFrame
from .keys import copy_geometry
from .pickled_frame import read_columns

logger = logging.getLogger(__name__)

_CHUNK = 1 << 20
"""Bytes unpacked at a time."""

_MAX_RATIO = 100
"""Maximum ratio of unpacked to packed size for content above :data:`_ALLOWED_BYTES`; numbers compress far less."""
_ALLOWED_BYTES = 1 << 28
"""Unpacked size that is allowed whatever the packed size."""


def write_pickle(path: Path, frames: Sequence[Atoms]) -> None:
    """Write labelled structures; if every element has an isolated atom, also the energy relative to isolated atoms."""
    mixed = sum(bool(atoms.pbc.any() and not atoms.pbc.all()) for atoms in frames)
    if mixed:
        logger.warning("%d structures are periodic in some directions only: pacemaker rejects them", mixed)
    results = [atoms.calc.results for atoms in frames]
    columns: dict[str, Any] = {"ase_atoms": _objects([copy_geometry(atoms, atoms.info) for atoms in frames])}
    columns["energy"] = np.array([result["energy"] for result in results])
    references = _reference_energies(frames)
    if set(references) == {number for atoms in frames for number in atoms.numbers.tolist()}:
        columns["energy_corrected"] = columns["energy"] - np.array(
            [sum(references[number] for number in atoms.numbers.tolist()) for atoms in frames]
        )
    columns["forces"] = _objects([result["forces"] for result in results])
    if any("stress" in result for result in results):
        columns["stress"] = _objects([result.get("stress") for result in results])
    pandas = _pandas()
    table = pandas.DataFrame(columns)
    # The default index of pandas 3 is one of strings, which pandas 2 cannot unpickle.
    table.columns = pandas.Index(list(columns), dtype=object)
    table.to_pickle(path, compression={"method": "gzip", "compresslevel": 5, "mtime": 0}, protocol=4)


def read_pickle(path: Path, trust: bool = False) -> Iterator[RawFrame]:
    """Yield the rows of a data frame.

    :param trust: whether to unpickle any object, which runs any code in the file.
    :raises ForeignObjectError: if the file contains other objects than plain data and is not trusted.
    :raises OSError: if the file is damaged; its checksum is verified before anything is read.
    """
    check_gzip(path)
    return _rows(_unpickle(path) if trust else read_columns(path))


def check_gzip(path: Path) -> None:
    """Verify the checksum of a gzip file.

    :raises OSError: if the checksum does not match.
    :raises EOFError: if the file is truncated.
    :raises ValueError: if the unpacked size is too large for a dataset.
    """
    limit = max(_ALLOWED_BYTES, _MAX_RATIO * path.stat().st_size)
    unpacked = 0
    with gzip.open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            unpacked += len(chunk)
            if unpacked > limit:
                raise ValueError(f"unpacks to more than {limit} bytes, which is too large for a dataset")


def _objects(entries: Sequence[Any]) -> np.ndarray:
    column = np.empty(len(entries), dtype=object)
    for index, entry in enumerate(entries):
        column[index] = entry
    return column


def _reference_energies(frames: Sequence[Atoms]) -> dict[int, float]:
    """Return the lowest energy, in eV, of a free atom of each element that has one, by atomic number."""
    references: dict[int, float] = {}
    for atoms in frames:
        if is_free_atom(atoms):
            number, energy = int(atoms.numbers[0]), atoms.calc.results["energy"]
            references[number] = min(energy, references.get(number, energy))
    return references


def _unpickle(path: Path) -> dict[str, list[Any]]:
    table = _pandas().read_pickle(path, compression="gzip")
    return {str(name): list(table[name]) for name in table.columns}


def _rows(columns: Mapping[str, list[Any]]) -> Iterator[RawFrame]:
    if "ase_atoms" not in columns:
        raise ValueError(f"no column 'ase_atoms' among {', '.join(columns) or 'none'}")
    others = {name: column for name, column in columns.items() if name != "ase_atoms"}
    # Without total energies, corrected ones are used: they are relative to free atoms.
    if not any(name.lower().endswith("energy") for name in others) and "energy_corrected" in others:
        others["energy"] = others["energy_corrected"]
    for row, atoms in enumerate(columns["ase_atoms"]):
        if not isinstance(atoms, Atoms):
            raise ValueError(f"its 'ase_atoms' is of the type {type(atoms).__name__}")
        values = [(name, column[row]) for name, column in others.items()]
        values += [(name, value) for name, value in atoms.info.items() if isinstance(name, str)]
        text = {name: value for name, value in values if name in ("config_type", "family", "group", "split")}
        yield RawFrame(
            copy_geometry(atoms, {**text, **atoms.info}),
            tuple((name, value) for name, value in values if value is not None),
        )


def _pandas() -> ModuleType:
    try:
        import pandas
    except ImportError as error:
        raise ImportError(
            "files for pacemaker (.pckl.gzip) need pandas, which comes with pip install 'aiida-mlip-autopipec[pace]'"
        ) from error
    return pandas
