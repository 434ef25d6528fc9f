"""Deformation paths: a cell strained step by step, with small random displacements."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from ase import Atoms

from .sampler import Sampler


def deformation(atoms: Atoms, sampler: Sampler) -> Iterator[int]:
    """Strain a cell to its final shape in equal steps, with new random displacements at each; yield the step numbers."""
    random = np.random.RandomState(sampler.seed)
    assert sampler.strain is not None
    for step in range(sampler.steps + 1):
        shape = np.eye(3) + step / max(1, sampler.steps) * sampler.strain
        atoms.set_cell(sampler.start.cell.array @ shape)
        atoms.set_positions(
            sampler.start.positions @ shape + random.normal(0.0, sampler.rattle, sampler.start.positions.shape)
        )
        yield step
