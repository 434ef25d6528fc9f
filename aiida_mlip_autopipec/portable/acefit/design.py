"""Reduction of the design matrix, chunk by chunk, to triangular factors.

The matrix X of the linear fit has a row for each energy, force component and derivative by strain, a column for each
function. Only R of X = QR is needed for any least-squares problem with X, and the R of two parts stacked is again such a
factor: so chunks are reduced by all processes and merged fold by fold, folds that are done wait in files, and memory does not
grow with the number of structures.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
from acecommon.deadline import Deadline
from acecommon.errors import log
from acecommon.parallel import pool, shared

from .basis import Basis
from .checkpoint import FORMAT, PARTS, Checkpoint
from .data import FOLDS, Frame, ReferenceEnergies
from .rows import RowBuilder

LEAST_CHUNK = 100
"""Fewest atoms of a chunk; more functions ask for more, so that its rows outnumber them and the reduction pays."""

VIOLENT_FORCE = 10.0
"""Forces (eV/Å) of this size begin to lose weight: a few violent structures must not ruin the rest."""


@dataclass(frozen=True)
class Factors:
    """Triangular factors of [X | y] of one fold: of the rows of energies, of forces and of derivatives by strain."""

    energy: np.ndarray
    forces: np.ndarray
    virial: np.ndarray
    n_energies: int
    n_forces: int

    def errors(self, solution: np.ndarray) -> tuple[float, float]:
        """Return the root mean square errors of energies and forces, weighted.

        :param solution: the coefficients, and -1.
        """
        energy, forces = (float(np.sum((part @ solution) ** 2)) for part in (self.energy, self.forces))
        tiny = np.finfo(float).tiny
        return (energy / self.n_energies) ** 0.5 + tiny, (forces / self.n_forces) ** 0.5 + tiny


class StoredFactors(Sequence[Factors]):
    """Factors that stay in their files: what is used of them is read each time.

    :param sizes: numbers of energies and forces by fold.
    """

    def __init__(self, checkpoint: Checkpoint, sizes: Mapping[int, tuple[int, int]]) -> None:
        self._checkpoint, self._sizes = checkpoint, list(sizes.items())

    def __len__(self) -> int:
        """Return the number of folds."""
        return len(self._sizes)

    def __getitem__(self, number: Any) -> Any:
        """Return the factors of a fold."""
        if isinstance(number, slice):
            return [self[one] for one in range(*number.indices(len(self)))]
        fold, sizes = self._sizes[number]
        return _factors([self._checkpoint.factor(fold, part) for part in PARTS], sizes)


def _factors(parts: Sequence[np.ndarray], sizes: tuple[int, int]) -> Factors:
    energy, forces, virial = parts
    return Factors(energy, forces, virial, *sizes)


def triangle(rows: np.ndarray) -> np.ndarray:
    """Return R of the QR factorisation of rows, which may be written over, or the rows themselves if they are few."""
    if len(rows) <= rows.shape[1]:
        return rows
    # numpy's needs three times the memory.
    _, factor = scipy.linalg.qr(rows, mode="raw", overwrite_a=True, check_finite=False)
    return np.asarray(factor)


def stacked(parts: Iterable[np.ndarray]) -> np.ndarray:
    """Return rows above each other, as LAPACK wants them in memory."""
    rows = list(parts)
    whole = np.empty((sum(map(len, rows)), rows[0].shape[1]), order="F")
    return np.concatenate(rows, out=whole)


def frame_weights(frame: Frame) -> tuple[float, float]:
    """Return the weights of the energy and of the forces of a structure.

    The error of the total energy is taken to grow with the root of the number of atoms; both weights fall in a violent
    structure. Equal structures weigh as one: the noise of their energies averages out, and the forces of one are enough.
    """
    largest = float(np.abs(frame.forces).max())
    calm = 1.0 / (1.0 + (largest / VIOLENT_FORCE) ** 2) ** 0.5
    return calm / (len(frame.atoms) * frame.equal) ** 0.5, calm if frame.first else 0.0


@dataclass(frozen=True)
class _Work:
    """What the worker processes share."""

    builder: RowBuilder
    frames: Sequence[Frame]
    reference: ReferenceEnergies


def _reduce_chunk(indices: Sequence[int]) -> list[np.ndarray]:
    """Return the factors of a chunk's rows of energies, of forces and of derivatives by strain."""
    work: _Work = shared()
    rows: list[list[np.ndarray]] = [[np.zeros((0, work.builder.n_functions + 1))] for _ in PARTS]
    for index in indices:
        frame = work.frames[index]
        of_energy, of_forces = frame_weights(frame)
        target = frame.energy - work.reference.of(frame.atoms)
        if not frame.first:
            rows[0].append(of_energy * np.append(work.builder.energy_row(frame.atoms), target)[None])
            continue
        one = work.builder.rows(frame.atoms, strain=frame.virial is not None)
        rows[0].append(of_energy * np.append(one.energy, target)[None])
        rows[1].append(of_forces * np.column_stack([one.forces, frame.forces.ravel()]))
        if frame.virial is not None:
            rows[2].append(of_energy * frame.equal**0.5 * np.column_stack([one.virial, frame.virial]))
    return [triangle(stacked(rows.pop(0))) for _ in PARTS]


def _chunks(frames: Sequence[Frame], folds: Sequence[int], n_functions: int) -> list[tuple[int, list[int]]]:
    """Return (fold, indices of frames): the same chunks for any number of workers, and so the same result."""
    chunks: list[tuple[int, list[int]]] = []
    for fold in range(FOLDS):
        most = LEAST_CHUNK + n_functions // 2
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
    """Return a hash of the functions, the data, and how they are divided."""
    facts = (FORMAT, basis.cutoff, basis.settings, basis.functions, chunks, sorted(reference.of_element.items()))
    digest = hashlib.blake2b(repr(facts).encode(), digest_size=16)
    for frame in frames:
        digest.update(repr((frame.equal, frame.first, frame.atoms.pbc.tolist())).encode())
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


def accumulate(
    basis: Basis,
    frames: Sequence[Frame],
    folds: Sequence[int],
    reference: ReferenceEnergies,
    workers: int,
    deadline: Deadline,
    *,
    trial: bool = False,
) -> Sequence[Factors]:
    """Reduce the design matrix of the frames to factors, one for each fold that has frames.

    :param trial: whether this is but a trial, a small one of which nothing is kept.
    """
    chunks = _chunks(frames, folds, basis.n_functions)
    sizes = {
        fold: (len(atoms), 3 * sum(atoms))
        for fold in range(FOLDS)
        if (atoms := [len(frame.atoms) for frame, of in zip(frames, folds, strict=True) if of == fold and frame.first])
    }
    nothing = [np.zeros((0, basis.n_functions + 1))] * len(PARTS)
    work = _Work(RowBuilder(basis), frames, reference)
    if trial:
        found = {fold: list(nothing) for fold in sizes}
        with pool(workers, work) as mapped:
            for (fold, _), new in zip(chunks, mapped(_reduce_chunk, [indices for _, indices in chunks]), strict=True):
                _merge(found[fold], new)
                deadline.check("a trial")
        return [_factors(found[fold], counts) for fold, counts in sizes.items()]

    checkpoint = Checkpoint(problem_key(basis, frames, chunks, reference))
    done, factors = checkpoint.load() or (0, list(nothing))
    if done:
        log(f"  design matrix: going on after {done} of {len(chunks)} parts")
    atoms_of = [sum(len(frames[index].atoms) for index in indices) for _, indices in chunks]
    begun, first = time.monotonic(), done
    with pool(workers, work) as mapped:
        reduced = mapped(_reduce_chunk, [indices for _, indices in chunks[done:]])
        for (fold, _), new in zip(chunks[done:], reduced, strict=True):
            _merge(factors, new)
            done += 1
            is_whole = done == len(chunks) or chunks[done][0] != fold
            if is_whole:
                checkpoint.finish(fold, factors)
                factors = list(nothing)
            left = (time.monotonic() - begun) * sum(atoms_of[done:]) / max(1, sum(atoms_of[first:done]))
            log(f"  design matrix: {sum(atoms_of[:done])} of {sum(atoms_of)} atoms, {left:.0f} s left")
            checkpoint.save(done, factors, now=is_whole or deadline.has_come)
            deadline.check("the design matrix")
    return StoredFactors(checkpoint, sizes)


def _merge(factors: list[np.ndarray], new: list[np.ndarray]) -> None:
    """Merge new factors into others, part after part: of the former nothing is left."""
    for _ in PARTS:
        factors.append(triangle(stacked([factors.pop(0), new.pop(0)])))
