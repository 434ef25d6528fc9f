"""Forces of exactly zero are reported if no symmetry makes them so."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import add_adsorbate, bulk, fcc111
from ase.calculators.singlepoint import SinglePointCalculator

from aiida_mlip_autopipec.dataset.plausibility import find_issues
from aiida_mlip_autopipec.dataset.zero_forces import zero_force_issues

from ..conftest import label_by_emt


def rattled(count: int) -> list[Atoms]:
    frames = []
    for seed in range(count):
        atoms = bulk("Cu", cubic=True).repeat((2, 1, 1))
        atoms.rattle(0.08, seed=seed)
        frames.append(label_by_emt(atoms))
    return frames


def with_zeros(frames: list[Atoms], fixed: slice) -> list[Atoms]:
    """Return copies in which the forces of some atoms are zero."""
    copies = []
    for atoms in frames:
        copy, labels = atoms.copy(), {name: np.array(value) for name, value in atoms.calc.results.items()}
        labels["forces"][fixed] = 0.0
        copy.calc = SinglePointCalculator(copy, **labels)
        copies.append(copy)
    return copies


def test_forces_of_fixed_atoms_are_reported() -> None:
    frames = rattled(12)
    assert find_issues(frames) == []
    (issue,) = find_issues([*with_zeros(frames[:6], slice(2)), *frames[6:]])
    assert "6 of 12 structures" in issue.message and "2 of the 8 atoms of Cu8" in issue.message
    assert "held fixed" in issue.cause
    assert find_issues([*with_zeros(frames[:2], slice(2)), *frames[2:]]) == []


def test_forces_that_are_all_zero_are_reported() -> None:
    (issue,) = zero_force_issues(with_zeros(rattled(8), slice(None)))
    assert "all forces are exactly 0 in 8 of 8 structures" in issue.message and "not computed" in issue.cause


def vacancy() -> Atoms:
    atoms = bulk("Cu", cubic=True).repeat(2)
    del atoms[0]
    return atoms


def adsorbed() -> Atoms:
    slab = fcc111("Cu", (2, 2, 3), vacuum=8.0)
    add_adsorbate(slab, "Au", 2.3, "fcc")
    return slab


@pytest.mark.parametrize(
    "atoms",
    [bulk("Cu", cubic=True), bulk("Cu", "hcp", a=2.6), vacancy(), bulk("CuAu", "rocksalt", a=5.0)],
    ids=["fcc", "hcp", "vacancy", "rocksalt"],
)
def test_forces_that_are_zero_by_symmetry_are_not_reported(atoms: Atoms) -> None:
    frames = []
    for scale in np.linspace(0.97, 1.03, 8):
        strained = atoms.copy()
        strained.set_cell(atoms.cell.array * scale, scale_atoms=True)
        strained.positions = np.round(strained.positions, 5)
        labels = label_by_emt(strained).calc.results
        forces = np.round(labels["forces"], 3)
        assert not forces.any(axis=1).all()
        strained.calc = SinglePointCalculator(strained, energy=labels["energy"], forces=forces)
        frames.append(strained)
    assert zero_force_issues(frames) == []


def test_rounded_forces_of_relaxed_structures_are_not_reported() -> None:
    frames = [adsorbed() for _ in range(5)]
    for seed, atoms in enumerate(frames):
        atoms.rattle(0.05, seed=seed)
        forces = np.random.default_rng(seed).choice([0.0, 0.01], (len(atoms), 3))
        forces[0] = 0.0
        atoms.calc = SinglePointCalculator(atoms, energy=0.0, forces=forces)
    assert zero_force_issues(frames) == []
