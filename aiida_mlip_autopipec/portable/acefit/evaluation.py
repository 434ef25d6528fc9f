"""A potential file on structures: predictions, errors, speed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from acecommon.parallel import pool, shared
from pyace import PyACECalculator

from .data import Frame, ReferenceEnergies


class _Evaluation:
    """A potential file and the frames it is evaluated on; the calculator is made in the process that uses it."""

    def __init__(self, path: Path, frames: Sequence[Frame]) -> None:
        self.frames = frames
        self._path = str(path)
        self._calculator: Any = None

    @property
    def calculator(self) -> Any:
        if self._calculator is None:
            self._calculator = PyACECalculator(self._path)
        return self._calculator


def _predict(index: int) -> tuple[float, np.ndarray]:
    evaluation: _Evaluation = shared()
    atoms = evaluation.frames[index].atoms.copy()
    atoms.calc = evaluation.calculator
    return float(atoms.get_potential_energy()), np.array(atoms.get_forces())


def predict(path: Path, frames: Sequence[Frame], workers: int) -> list[tuple[float, np.ndarray]]:
    """Evaluate a potential file on all frames: energies (eV) and forces (n, 3) (eV/Å)."""
    with pool(workers, _Evaluation(path, frames)) as mapped:
        return list(mapped(_predict, range(len(frames))))


def errors_of(
    frames: Sequence[Frame], predictions: Sequence[tuple[float, np.ndarray]], reference: ReferenceEnergies
) -> dict[str, Any] | None:
    """Return the errors on some frames; None if there are none."""
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
    """Return microseconds an atom for one evaluation of energy and forces, on one core."""
    largest = max(frames, key=lambda frame: len(frame.atoms) * bool(frame.atoms.pbc.all())).atoms
    atoms = largest.repeat(max(1, round((64 / len(largest)) ** (1 / 3)))) if largest.pbc.all() else largest.copy()
    atoms.calc = PyACECalculator(str(path))
    atoms.get_forces()
    start = time.perf_counter()
    for step in range(3):
        atoms.positions[0, 0] += 0.001 * (step + 1)
        atoms.get_forces()
    return 1e6 * (time.perf_counter() - start) / 3 / len(atoms)
