"""The measurement of the speed of a potential."""

from __future__ import annotations

import math

import pytest
from ase import Atoms
from ase.build import bulk
from mlip_train.evaluation import ATOMS_TIMED, repeats_for_timing


@pytest.mark.parametrize(
    "atoms",
    [bulk("Cu"), bulk("Cu", cubic=True).repeat(3), bulk("Cu").repeat((1, 1, 40)), bulk("Cu", cubic=True).repeat(5)],
    ids=["primitive", "108 atoms", "long", "500 atoms"],
)
def test_cell_has_enough_atoms_and_not_many_more(atoms: Atoms) -> None:
    repeats = repeats_for_timing(atoms)
    count = len(atoms) * math.prod(repeats)
    assert count >= ATOMS_TIMED
    assert count < 2 * ATOMS_TIMED or repeats == [1, 1, 1]
    lengths = atoms.cell.lengths() * repeats
    assert max(lengths) <= 2 * min(lengths) or repeats[int(lengths.argmax())] == 1
