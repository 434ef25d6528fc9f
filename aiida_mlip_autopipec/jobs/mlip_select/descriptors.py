"""Descriptors of the atoms of a structure: the functions of an ACE basis, one row per atom."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from mlip_common.errors import log
from mlip_common.parallel import shared, worker_pool
from mlip_train.basis import Basis, complexity_of
from mlip_train.rows import RowBuilder

CHUNK = 20
"""Number of structures per task of a worker process."""


@dataclass(frozen=True)
class Descriptors:
    """Descriptors of the atoms of a structure.

    :ivar environments: for each element, the m functions of its n atoms, (n, m) in single precision.
    :ivar mean: their mean over all atoms, for the functions of all elements, one element after the other.
    """

    environments: tuple[np.ndarray, ...]
    mean: np.ndarray

    @property
    def size(self) -> int:
        """The number of atoms."""
        return sum(len(rows) for rows in self.environments)

    def scaled(self, scales: Sequence[np.ndarray]) -> Descriptors:
        """Return the descriptors divided by the scales (m,) of each element."""
        environments = tuple(rows / scale for rows, scale in zip(self.environments, scales, strict=True))
        return Descriptors(environments, self.mean / np.concatenate(scales))


@dataclass(frozen=True)
class _Work:
    """Data shared with the worker processes."""

    builder: RowBuilder
    columns: Sequence[np.ndarray]
    structures: Sequence[Atoms]


def compute_descriptors(basis: Basis, structures: Sequence[Atoms], workers: int) -> list[Descriptors]:
    """Return the descriptors of structures."""
    descriptors: list[Descriptors] = []
    if not structures:
        return descriptors
    chunks = [slice(first, first + CHUNK) for first in range(0, len(structures), CHUNK)]
    with worker_pool(min(workers, len(chunks)), _Work(RowBuilder(basis), _columns(basis), structures)) as mapped:
        for number, found in enumerate(mapped(_of_chunk, chunks), start=1):
            descriptors += found
            if number % 20 == 0 or number == len(chunks):
                log(f"  descriptors of {len(descriptors)} of {len(structures)} structures")
    return descriptors


def descriptor_scales(basis: Basis, descriptors: Sequence[Descriptors]) -> list[np.ndarray]:
    """Return for each element the scales (m,) that give the descriptors of its atoms a mean square length of 1.

    A scale is the root mean square over the atoms times the complexity of the function: as in the fit, complex functions, which
    contribute little to a smooth energy, count less (Witt et al., J. Chem. Phys. 159, 164101 (2023)).
    """
    scales = []
    for element, columns in enumerate(_columns(basis)):
        squares, atoms = np.zeros(len(columns)), 0
        for descriptor in descriptors:
            rows = descriptor.environments[element].astype(float)
            squares += (rows**2).sum(axis=0)
            atoms += len(rows)
        lengths = np.sqrt(squares / max(1, atoms))
        complexities = np.array([complexity_of(basis.functions[column]) for column in columns])
        known = lengths > 0
        norm = np.sqrt((complexities[known] ** -2.0).sum()) if known.any() else 1.0
        scales.append(np.where(known, lengths, 1.0) * complexities * norm)
    return scales


def content_key(atoms: Atoms) -> str:
    """Return a hash of a structure, which gives structures an order that does not depend on the input."""
    parts = (atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc)
    return hashlib.blake2b(b"".join(np.ascontiguousarray(part).tobytes() for part in parts), digest_size=16).hexdigest()


def _columns(basis: Basis) -> list[np.ndarray]:
    """Return, for each element, the columns of the functions of its atoms."""
    centres = np.array([key[0] for key in basis.functions])
    return [np.flatnonzero(centres == number) for number in sorted(basis.index_of_element.values())]


def _of_chunk(chunk: slice) -> list[Descriptors]:
    work: _Work = shared()
    return [_descriptors(atoms, work) for atoms in work.structures[chunk]]


def _descriptors(atoms: Atoms, work: _Work) -> Descriptors:
    rows = work.builder.atom_rows(atoms)
    species = np.array([work.builder.species[symbol] for symbol in atoms.symbols])
    of_elements = [rows[species == number][:, mine].astype(np.float32) for number, mine in enumerate(work.columns)]
    return Descriptors(tuple(of_elements), rows.mean(axis=0)[np.concatenate(work.columns)])
