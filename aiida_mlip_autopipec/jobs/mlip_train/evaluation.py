"""Predictions, errors and speed of a potential file."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from mlip_common.parallel import shared, worker_pool
from mlip_common.potential import load_potential

from .data import Frame, ReferenceEnergies

EVALUATIONS_TIMED, ATOMS_TIMED = 5, 256
"""Number of timed evaluations, of which the fastest is reported, and of atoms."""


class _Evaluation:
    """A potential file and the frames to evaluate; each process creates its own calculator."""

    def __init__(self, path: Path, frames: Sequence[Frame]) -> None:
        self.frames = frames
        self._path = path
        self._calculator: Any = None

    @property
    def calculator(self) -> Any:
        if self._calculator is None:
            self._calculator = load_potential(self._path)
        return self._calculator


def _predict(index: int) -> tuple[float, np.ndarray]:
    evaluation: _Evaluation = shared()
    atoms = evaluation.frames[index].atoms.copy()
    atoms.calc = evaluation.calculator
    return float(atoms.get_potential_energy()), np.array(atoms.get_forces())


def predict(path: Path, frames: Sequence[Frame], workers: int) -> list[tuple[float, np.ndarray]]:
    """Return energy (eV, relative to free atoms) and forces (n, 3) (eV/Å) of each frame."""
    with worker_pool(workers, _Evaluation(path, frames)) as mapped:
        return list(mapped(_predict, range(len(frames))))


def errors_of(
    frames: Sequence[Frame], predictions: Sequence[tuple[float, np.ndarray]], reference: ReferenceEnergies
) -> dict[str, Any] | None:
    """Return MAE and RMSE of energies and forces; None without frames."""
    if not frames:
        return None
    energies = np.array(
        [
            (energy + reference.of(frame.atoms) - frame.energy) / len(frame.atoms)
            for frame, (energy, _) in zip(frames, predictions, strict=True)
        ]
    )
    forces = np.concatenate(
        [(predicted - frame.forces).ravel() for frame, (_, predicted) in zip(frames, predictions, strict=True)]
    )
    return {
        "energy_mae_meV_per_atom": 1000 * float(np.abs(energies).mean()),
        "energy_rmse_meV_per_atom": 1000 * float(np.sqrt((energies**2).mean())),
        "force_mae_eV_per_A": float(np.abs(forces).mean()),
        "force_rmse_eV_per_A": float(np.sqrt((forces**2).mean())),
        "n_structures": len(frames),
        "n_atoms": sum(len(frame.atoms) for frame in frames),
    }


def evaluation_time(path: Path, frames: Sequence[Frame]) -> float:
    """Return the processor time (µs per atom) of energy and forces on one core, in a supercell of the largest structure."""
    largest = max(frames, key=lambda frame: len(frame.atoms) * bool(frame.atoms.pbc.all())).atoms
    atoms = largest.repeat(repeats_for_timing(largest)) if largest.pbc.all() else largest.copy()
    atoms.calc = load_potential(path)
    return time_per_atom(atoms)


def time_per_atom(atoms: Atoms) -> float:
    """Return the processor time (µs per atom) of the forces by the calculator of a structure: the shortest of several runs."""
    atoms.get_forces()
    seconds = []
    for step in range(EVALUATIONS_TIMED):
        atoms.positions[0, 0] += 0.001 * (step + 1)
        start = time.process_time()
        atoms.get_forces()
        seconds.append(time.process_time() - start)
    # The shortest time is the least disturbed by other programs.
    return 1e6 * min(seconds) / len(atoms)


def repeats_for_timing(atoms: Atoms) -> list[int]:
    """Return how often a cell is repeated along each axis for enough atoms, with similar lengths along all axes."""
    repeats = [1, 1, 1]
    while len(atoms) * math.prod(repeats) < ATOMS_TIMED:
        repeats[int(np.argmin(np.array(repeats) * atoms.cell.lengths()))] += 1
    return repeats
