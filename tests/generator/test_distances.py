"""Shortest distances: the check agrees with ASE's neighbour list, and atoms that are too close are separated."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.neighborlist import neighbor_list
from hypothesis import given
from hypothesis import strategies as st

from aiida_mlip_autopipec.generator.distances import distances_at_least, push_apart


@given(
    n_atoms=st.integers(1, 12),
    pbc=st.sampled_from([(True, True, True), (False, False, False), (True, True, False)]),
    skew=st.floats(0.0, 2.5),
    largest=st.floats(0.1, 4.0),
    seed=st.integers(0, 2**32 - 1),
)
def test_atoms_and_images_that_are_too_close_are_found(
    n_atoms: int, pbc: tuple[bool, bool, bool], skew: float, largest: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    cell = 3.0 * np.eye(3) + skew * random.normal(size=(3, 3))
    if abs(np.linalg.det(cell)) < 1.0:
        cell = 3.0 * np.eye(3)
    atoms = Atoms(f"Cu{n_atoms}", cell=cell, pbc=pbc, positions=random.uniform(-5, 10, (n_atoms, 3)))
    radii = random.uniform(0.05, largest, n_atoms)
    assert distances_at_least(atoms, radii) == (len(neighbor_list("i", atoms, list(radii))) == 0)


@given(seed=st.integers(0, 2**32 - 1), amplitude=st.floats(0.01, 0.4), shortest=st.floats(1.5, 2.2))
def test_atoms_that_are_too_close_are_pushed_apart(seed: int, amplitude: float, shortest: float) -> None:
    atoms = bulk("Cu", cubic=True) * (2, 2, 2)
    atoms.positions += np.random.default_rng(seed).normal(0.0, amplitude, atoms.positions.shape)
    before = atoms.positions.copy()
    radii = np.full(len(atoms), shortest / 2)
    were_apart = distances_at_least(atoms, radii)
    push_apart(atoms, radii)
    assert distances_at_least(atoms, radii)
    assert np.array_equal(before, atoms.positions) == were_apart
    assert np.allclose(atoms.positions.sum(axis=0), before.sum(axis=0))
