"""The fingerprint is equal for equal structures, and for no others."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from hypothesis import given, settings
from hypothesis import strategies as st

from aiida_mlip_autopipec.config.schemas.curation import DuplicateConfig
from aiida_mlip_autopipec.dataset.fingerprint import (
    distance,
    fingerprint,
    is_free_atom,
    shortest_distances,
)

from .equivalent import TRANSFORMATIONS, random_cell, transformed

TOLERANCE = DuplicateConfig().tolerance


def apart(first: Atoms, second: Atoms) -> float:
    return distance(fingerprint(first), fingerprint(second))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([["Cu"] * 4, ["Al", "Cu", "Cu"], ["Al", "Al", "Cu", "Cu", "Ni"]]))
def test_transformed_structure_has_the_same_fingerprint(seed: int, symbols: list[str]) -> None:
    random = np.random.default_rng(seed)
    atoms = random_cell(random, symbols)
    assert apart(atoms, transformed(atoms, random)) < TOLERANCE / 4


@pytest.mark.parametrize("transform", TRANSFORMATIONS)
def test_each_transformation_alone_keeps_the_fingerprint(transform) -> None:
    random = np.random.default_rng(5)
    for atoms in (random_cell(random, ["Al", "Cu", "Cu"]), molecule("CH3CH2OH")):
        assert apart(atoms, transform(atoms, random)) < TOLERANCE / 4


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.floats(1e-4, 0.1))
def test_distance_is_at_most_twice_the_largest_displacement(seed: int, amplitude: float) -> None:
    random = np.random.default_rng(seed)
    atoms = random_cell(random, ["Al", "Cu", "Cu", "Cu"])
    rattled = atoms.copy()
    steps = random.normal(size=(4, 3))
    rattled.positions += amplitude * steps / np.linalg.norm(steps, axis=1, keepdims=True)
    assert apart(atoms, rattled) <= 2 * amplitude + 1e-4


def test_small_displacements_strains_and_exchanges_change_the_fingerprint() -> None:
    atoms = bulk("Cu", cubic=True) * (2, 1, 1)
    atoms.symbols[:3] = "Al"
    rattled = atoms.copy()
    rattled.rattle(0.01, seed=1)
    strained = atoms.copy()
    strained.set_cell(atoms.cell * 1.001, scale_atoms=True)
    swapped = atoms.copy()
    swapped.symbols = ["Cu" if symbol == "Al" else "Al" for symbol in atoms.get_chemical_symbols()]
    moved_one = atoms.copy()
    moved_one.symbols[[2, 4]] = ["Cu", "Al"]
    for other in (rattled, strained, swapped, moved_one):
        assert apart(atoms, other) > 2 * TOLERANCE


def test_homometric_structures_have_different_fingerprints() -> None:
    """{0, r, 2 + r, 4} + 8Z and {0, 2 + r, 4, 4 + r} + 8Z have the same pair distribution."""

    def chain(places: list[float]) -> Atoms:
        return Atoms(
            f"Cu{len(places)}", positions=[[x, 0, 0] for x in places], cell=[8, 20, 20], pbc=[True, False, False]
        )

    first, second = chain([0, 1.3, 3.3, 4]), chain([0, 3.3, 4, 5.3])
    assert apart(first, second) > 0.1


def test_cluster_in_another_box_is_equal_and_a_periodic_structure_is_not() -> None:
    first, second = molecule("H2O", vacuum=4.0), molecule("H2O", vacuum=9.0)
    assert apart(first, second) < TOLERANCE / 4
    periodic = first.copy()
    periodic.pbc = True
    assert apart(first, periodic) == np.inf


def test_slabs_with_different_vacuum_beyond_the_radius_are_the_same() -> None:
    first, second = (fcc111("Cu", (1, 1, 3), vacuum=vacuum, periodic=True) for vacuum in (8.0, 10.0))
    assert apart(first, second) < TOLERANCE / 4


def test_an_atom_without_neighbours_is_a_free_atom() -> None:
    boxed, free = Atoms("Cu", cell=[30] * 3, pbc=True), Atoms("Cu", cell=[30] * 3)
    assert is_free_atom(boxed) and is_free_atom(free)
    assert not is_free_atom(bulk("Cu"))


def test_shortest_distances_by_pair() -> None:
    water = molecule("H2O")
    lengths = shortest_distances(water, 3.0)
    assert lengths[(1, 8)] == pytest.approx(water.get_distance(0, 1), abs=1e-4)
    assert lengths[(1, 1)] == pytest.approx(water.get_distance(1, 2), abs=1e-4)
    assert (8, 8) not in lengths


def test_error_gives_the_reason_for_a_missing_fingerprint() -> None:
    with pytest.raises(ValueError, match="without atoms"):
        fingerprint(Atoms())
    with pytest.raises(ValueError, match="not finite"):
        fingerprint(Atoms("Cu", positions=[[np.nan, 0, 0]]))
    with pytest.raises(ValueError, match="do not span"):
        fingerprint(Atoms("Cu", pbc=True))
