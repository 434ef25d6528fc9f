"""Equal structures are found, and no others."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from aiida_mlip_autopipec.dataset.duplicates import find_duplicates

from .equivalent import random_cell, transformed


def test_duplicates_are_grouped_and_represented_by_the_first() -> None:
    random = np.random.default_rng(11)
    originals = [random_cell(random, ["Al", "Cu", "Cu"]) for _ in range(40)]
    structures = originals + [transformed(atoms, random) for atoms in originals]
    order = random.permutation(len(structures))
    found = find_duplicates([structures[index] for index in order])
    assert len(np.unique(found.group)) == 40
    for place, index in enumerate(order):
        copy = int(np.flatnonzero(order == (index + 40) % 80)[0])
        assert found.group[place] == found.group[copy]
        assert found.representative[place] == min(place, copy)


def test_free_atom_represents_equal_cells_of_several_atoms() -> None:
    boxed = Atoms("Cu", cell=[30] * 3, pbc=True)
    found = find_duplicates([boxed * (2, 1, 1), boxed])
    assert found.representative.tolist() == [1, 1]


def test_error_names_a_structure_without_fingerprint() -> None:
    with pytest.raises(ValueError, match="structure 1"):
        find_duplicates([bulk("Cu"), Atoms("Cu", pbc=True)])
