"""Reduction of the design matrix, chunk by chunk, to triangular factors.

The design matrix X of the linear fit has a row for each energy, force component and virial component, and a column for each
function. A least-squares problem with X needs only the factor R of X = QR. The factors of two chunks, stacked and factorised
again, give the factor of both. So the processes reduce chunks, these are merged fold by fold, finished folds are stored in
files, and memory does not grow with the number of structures.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.linalg
from mlip_common.deadline import Deadline
from mlip_common.errors import log
from mlip_common.parallel import shared, worker_pool
from mlip_common.progress import progress

from .basis import Basis
from .checkpoint import FACTORS, FORMAT, PARTS, Checkpoint
from .data import FOLDS, Frame, ReferenceEnergies
from .rows import RowBuilder

MIN_CHUNK_ATOMS = 100
"""Smallest number of atoms in a chunk. It grows with the number of functions, so that there are more rows than columns."""

LARGE_FORCE = 10.0
"""A structure whose largest force component (eV/Å) has this value has 0.71 of the full weight, so that a few large forces do
not dominate the fit."""

HIGH_ENERGY = 1.0
"""Energy (eV/atom) above the hull at which the energy of a structure has half the weight: the few energies of dimers and small
clusters, several eV/atom above crystals, must not decide the weights and functions."""


@dataclass(frozen=True)
class Factors:
    """Triangular factors of [X | y] of one fold: of the rows of energies, forces and virials."""

    energy: np.ndarray
    forces: np.ndarray
    virial: np.ndarray
    n_energies: int
    n_forces: int

    def errors(self, solution: np.ndarray) -> tuple[float, float]:
        """Return the weighted RMSE of energies and forces.

        :param solution: the coefficients followed by -1 (m + 1,).
        """
        energy, forces = (float(np.sum((part @ solution) ** 2)) for part in (self.energy, self.forces))
        tiny = np.finfo(float).tiny
        return (energy / self.n_energies) ** 0.5 + tiny, (forces / self.n_forces) ** 0.5 + tiny


class StoredFactors(Sequence[Factors]):
    """Factors in files, read at each access to save memory.

    :param sizes: numbers of energies and forces, by fold.
    """

    def __init__(self, checkpoint: Checkpoint, sizes: Mapping[int, tuple[int, int]]) -> None:
        self._checkpoint, self._sizes = checkpoint, list(sizes.items())

    def __len__(self) -> int:
        """Return the number of folds."""
        return len(self._sizes)

    def __getitem__(self, number: Any) -> Any:
        """Return the factors of a fold."""
        if isinstance(number, slice):
            return [self[index] for index in range(*number.indices(len(self)))]
        fold, sizes = self._sizes[number]
        return _factors([self._checkpoint.factor(fold, part) for part in PARTS], sizes)


def _factors(parts: Sequence[np.ndarray], sizes: tuple[int, int]) -> Factors:
    energy, forces, virial = parts
    return Factors(energy, forces, virial, *sizes)


def triangle(rows: np.ndarray) -> np.ndarray:
    """Return R of the QR factorisation of rows, which are overwritten, or the rows if they are fewer than the columns."""
    if len(rows) <= rows.shape[1]:
        return rows
    # The QR of numpy needs three times the memory.
    _, factor = scipy.linalg.qr(rows, mode="raw", overwrite_a=True, check_finite=False)
    return np.asarray(factor)


def stacked(parts: Iterable[np.ndarray]) -> np.ndarray:
    """Return stacked rows in the memory order of LAPACK."""
    rows = list(parts)
    stack = np.empty((sum(map(len, rows)), rows[0].shape[1]), order="F")
    return np.concatenate(rows, out=stack)


def frame_weights(frame: Frame) -> tuple[float, float]:
    """Return the weights of the energy and of the forces of a structure.

    The error of the total energy is assumed to grow with the square root of the number of atoms. Both weights fall with the
    largest force, and that of the energy falls with the energy above the hull. Duplicates together count as one structure:
    their energies are averaged, and the forces of one are used.
    """
    largest = float(np.abs(frame.forces).max())
    downweight = 1.0 / (1.0 + (largest / LARGE_FORCE) ** 2) ** 0.5
    of_energy = downweight / (1.0 + frame.above_hull / HIGH_ENERGY)
    return of_energy / (len(frame.atoms) * frame.n_equal) ** 0.5, downweight if frame.is_first else 0.0


@dataclass(frozen=True)
class _Work:
    """Data shared with the worker processes."""

    builder: RowBuilder
    frames: Sequence[Frame]
    reference: ReferenceEnergies


def _reduce_chunk(indices: Sequence[int]) -> list[np.ndarray]:
    """Return the factors of the rows of energies, forces and virials of a chunk."""
    work: _Work = shared()
    rows: list[list[np.ndarray]] = [[np.zeros((0, work.builder.n_functions + 1))] for _ in PARTS]
    for index in indices:
        frame = work.frames[index]
        of_energy, of_forces = frame_weights(frame)
        target = frame.energy - work.reference.of(frame.atoms)
        if not frame.is_first:
            rows[0].append(of_energy * np.append(work.builder.energy_row(frame.atoms), target)[None])
            continue
        of_frame = work.builder.rows(frame.atoms, strain=frame.virial is not None)
        rows[0].append(of_energy * np.append(of_frame.energy, target)[None])
        rows[1].append(of_forces * np.column_stack([of_frame.forces, frame.forces.ravel()]))
        if frame.virial is not None:
            rows[2].append(of_energy * frame.n_equal**0.5 * np.column_stack([of_frame.virial, frame.virial]))
    return [triangle(stacked(rows.pop(0))) for _ in PARTS]


def _chunks(frames: Sequence[Frame], folds: Sequence[int], n_functions: int) -> list[tuple[int, list[int]]]:
    """Return (fold, indices of frames) of each chunk, independent of the number of workers, since the rounding errors depend
    on the chunks."""
    chunks: list[tuple[int, list[int]]] = []
    for fold in range(FOLDS):
        most = MIN_CHUNK_ATOMS + n_functions // 2
        atoms = most
        for index, frame in enumerate(frames):
            if folds[index] != fold:
                continue
            if atoms >= most:
                chunks.append((fold, []))
                atoms = 0
            chunks[-1][1].append(index)
            atoms += len(frame.atoms)
    return chunks


def problem_key(basis: Basis, frames: Sequence[Frame], chunks: Sequence[Any], reference: ReferenceEnergies) -> str:
    """Return a hash of the functions, the data and their chunks."""
    facts = (FORMAT, basis.cutoff, basis.settings, basis.functions, chunks, sorted(reference.of_element.items()))
    digest = hashlib.blake2b(repr(facts).encode(), digest_size=16)
    for frame in frames:
        digest.update(repr((frame.n_equal, frame.is_first, frame.atoms.pbc.tolist())).encode())
        virial = np.zeros(0) if frame.virial is None else frame.virial
        numbers = (
            frame.atoms.numbers,
            frame.atoms.cell.array,
            frame.atoms.positions,
            frame.forces,
            virial,
            frame.energy,
        )
        for array in numbers:
            digest.update(np.asarray(array, dtype=float).tobytes())
    return digest.hexdigest()


def reduced_design_matrix(
    basis: Basis,
    frames: Sequence[Frame],
    folds: Sequence[int],
    reference: ReferenceEnergies,
    workers: int,
    deadline: Deadline,
    *,
    trial: bool = False,
    folder: Path = FACTORS,
) -> Sequence[Factors]:
    """Reduce the design matrix of the frames to factors, one for each fold that has frames.

    :param trial: a small problem, kept in memory without checkpoint.
    :param folder: folder of the checkpoint.
    """
    chunks = _chunks(frames, folds, basis.n_functions)
    sizes = {
        fold: (len(atoms), 3 * sum(atoms))
        for fold in range(FOLDS)
        if (
            atoms := [
                len(frame.atoms) for frame, of in zip(frames, folds, strict=True) if of == fold and frame.is_first
            ]
        )
    }
    empty = [np.zeros((0, basis.n_functions + 1))] * len(PARTS)
    work = _Work(RowBuilder(basis), frames, reference)
    if trial:
        found = {fold: list(empty) for fold in sizes}
        with worker_pool(workers, work) as mapped:
            for (fold, _), new in zip(chunks, mapped(_reduce_chunk, [indices for _, indices in chunks]), strict=True):
                _merge(found[fold], new)
                deadline.check("a trial")
        return [_factors(found[fold], counts) for fold, counts in sizes.items()]

    checkpoint = Checkpoint(problem_key(basis, frames, chunks, reference), folder)
    done, factors = checkpoint.load() or (0, list(empty))
    if done:
        log(f"  design matrix: continuing after {done} of {len(chunks)} chunks")
    atoms_of = [sum(len(frames[index].atoms) for index in indices) for _, indices in chunks]
    with worker_pool(workers, work) as mapped:
        reduced = mapped(_reduce_chunk, [indices for _, indices in chunks[done:]])
        for (fold, _), new in zip(chunks[done:], reduced, strict=True):
            _merge(factors, new)
            done += 1
            is_complete = done == len(chunks) or chunks[done][0] != fold
            if is_complete:
                checkpoint.finish(fold, factors)
                factors = list(empty)
            progress.set_fraction(sum(atoms_of[:done]) / sum(atoms_of))
            checkpoint.save(done, factors, now=is_complete or deadline.has_passed)
            deadline.check("the design matrix")
    return StoredFactors(checkpoint, sizes)


def _merge(factors: list[np.ndarray], new: list[np.ndarray]) -> None:
    """Merge new factors into others, and empty the list of new factors to save memory."""
    for _ in PARTS:
        factors.append(triangle(stacked([factors.pop(0), new.pop(0)])))
