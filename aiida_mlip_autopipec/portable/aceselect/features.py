"""What the atoms of a structure see: the functions of a basis, one row for each atom."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from acecommon.errors import log
from acecommon.parallel import pool, shared
from acefit.basis import Basis, complexity_of
from acefit.rows import RowBuilder
from ase import Atoms

CHUNK = 20
"""Structures that are handed to a process at a time."""


@dataclass(frozen=True)
class View:
    """The functions of the atoms of each element, (n, m) in single precision, and the mean over all atoms of all functions."""

    environments: tuple[np.ndarray, ...]
    mean: np.ndarray

    @property
    def size(self) -> int:
        """Number of atoms."""
        return sum(len(rows) for rows in self.environments)

    def scaled(self, units: Sequence[np.ndarray]) -> View:
        """Return the same with the functions of each element in other units."""
        environments = tuple(rows / unit for rows, unit in zip(self.environments, units, strict=True))
        return View(environments, self.mean / np.concatenate(units))


@dataclass(frozen=True)
class _Work:
    """What the worker processes share."""

    builder: RowBuilder
    columns: Sequence[np.ndarray]
    structures: Sequence[Atoms]


def compute_views(basis: Basis, structures: Sequence[Atoms], workers: int) -> list[View]:
    """Return what the atoms of structures see."""
    views: list[View] = []
    if not structures:
        return views
    chunks = [slice(first, first + CHUNK) for first in range(0, len(structures), CHUNK)]
    with pool(min(workers, len(chunks)), _Work(RowBuilder(basis), _columns(basis), structures)) as mapped:
        for number, found in enumerate(mapped(_of_chunk, chunks), start=1):
            views += found
            if number % 20 == 0 or number == len(chunks):
                log(f"  functions of the atoms of {len(views)} of {len(structures)} structures")
    return views


def usual_units(basis: Basis, views: Sequence[View]) -> list[np.ndarray]:
    """Return for each element the units of its functions, in which the rows of its atoms have a mean square length of 1.

    They are the root mean square over the atoms times the complexity: complex functions, which say little of smooth energies,
    count less, as in the fit (Witt et al., J. Chem. Phys. 159, 164101 (2023)).
    """
    units = []
    for element, columns in enumerate(_columns(basis)):
        squares, atoms = np.zeros(len(columns)), 0
        for view in views:
            rows = view.environments[element].astype(float)
            squares += (rows**2).sum(axis=0)
            atoms += len(rows)
        lengths = np.sqrt(squares / max(1, atoms))
        complexities = np.array([complexity_of(basis.functions[column]) for column in columns])
        known = lengths > 0
        whole = np.sqrt((complexities[known] ** -2.0).sum()) if known.any() else 1.0
        units.append(np.where(known, lengths, 1.0) * complexities * whole)
    return units


def content_key(atoms: Atoms) -> str:
    """Return a hash of a structure: by it structures have an order that is not the one they came in."""
    parts = (atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc)
    return hashlib.blake2b(b"".join(np.ascontiguousarray(part).tobytes() for part in parts), digest_size=16).hexdigest()


def _columns(basis: Basis) -> list[np.ndarray]:
    """Return the columns of the functions of each element's atoms."""
    centres = np.array([key[0] for key in basis.functions])
    return [np.flatnonzero(centres == number) for number in sorted(basis.index_of_element.values())]


def _of_chunk(chunk: slice) -> list[View]:
    work: _Work = shared()
    return [_view(atoms, work) for atoms in work.structures[chunk]]


def _view(atoms: Atoms, work: _Work) -> View:
    rows = work.builder.atom_rows(atoms)
    species = np.array([work.builder.species[symbol] for symbol in atoms.symbols])
    mine = [rows[species == number][:, its].astype(np.float32) for number, its in enumerate(work.columns)]
    return View(tuple(mine), rows.mean(axis=0)[np.concatenate(work.columns)])
