"""Relaxation of the positions, and of the cell if a pressure is given, to the nearest minimum."""

from __future__ import annotations

from collections.abc import Iterator

from ase import Atoms, units
from ase.filters import FrechetCellFilter
from ase.optimize import FIRE

from .sampler import Sampler

_LARGEST_FORCE = 0.05
"""eV/Å; the relaxation ends when no force is larger."""

_LARGEST_STEP = 0.1
"""Å; longer steps may skip structures on the path."""


def relaxation(atoms: Atoms, sampler: Sampler) -> Iterator[int]:
    """Relax the positions, and the cell if a pressure is given, by FIRE; yield the step numbers."""
    target = atoms
    if sampler.pressure is not None:
        target = FrechetCellFilter(atoms, scalar_pressure=sampler.pressure * units.GPa)
    optimizer = FIRE(target, logfile=None, maxstep=_LARGEST_STEP)
    for step, _ in enumerate(optimizer.irun(fmax=_LARGEST_FORCE, steps=sampler.steps)):
        yield step
