"""Relaxation of a structure, its cell included, to the nearest minimum."""

from __future__ import annotations

from collections.abc import Iterator

from ase import Atoms, units
from ase.filters import FrechetCellFilter
from ase.optimize import FIRE

from .walker import Walker

_LARGEST_FORCE = 0.05
"""eV/Å at which it is relaxed."""

_LARGEST_STEP = 0.1
"""Å; longer ones may pass over what is to be met on the way."""


def relaxation(atoms: Atoms, walker: Walker) -> Iterator[int]:
    """Follow the forces, and the stress if there is a pressure to relax to, by FIRE; yield the numbers of its steps."""
    target = atoms
    if walker.pressure is not None:
        target = FrechetCellFilter(atoms, scalar_pressure=walker.pressure * units.GPa)
    optimizer = FIRE(target, logfile=None, maxstep=_LARGEST_STEP)
    for step, _ in enumerate(optimizer.irun(fmax=_LARGEST_FORCE, steps=walker.steps)):
        yield step
