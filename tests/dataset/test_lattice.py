"""Compact cell vectors span the same lattice."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk

from aiida_mlip_autopipec.dataset.lattice import compact_lattice


def test_a_skewed_cell_is_reduced_to_the_same_lattice() -> None:
    atoms = bulk("Cu", cubic=True)
    skewed = atoms.copy()
    skewed.set_cell(np.array([[1, 0, 0], [7, 1, 0], [-5, 3, 1]]) @ atoms.cell.array)
    reduced = compact_lattice(skewed)
    assert np.linalg.norm(reduced, axis=1) == pytest.approx(atoms.cell.lengths())
