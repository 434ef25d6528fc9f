"""Paths of deformation: a cell strained step by step, its atoms a little displaced."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from ase import Atoms

from .walker import Walker


def deformation(atoms: Atoms, walker: Walker) -> Iterator[int]:
    """Strain a cell to its last shape in equal steps, each with other displacements; yield the numbers of the steps."""
    random = np.random.RandomState(walker.seed)
    assert walker.strain is not None
    for step in range(walker.steps + 1):
        shape = np.eye(3) + step / max(1, walker.steps) * walker.strain
        atoms.set_cell(walker.start.cell.array @ shape)
        atoms.set_positions(
            walker.start.positions @ shape + random.normal(0.0, walker.rattle, walker.start.positions.shape)
        )
        yield step
