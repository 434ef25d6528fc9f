"""Repair of structures that a fit cannot use, without changing their labels; errors for all others."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from aiida_mlip_autopipec.dataset.fingerprint import distance, fingerprint, is_free_atom
from aiida_mlip_autopipec.dataset.repair import ADDED_VACUUM, UnusableError, repair

from ..conftest import label_by_emt


def rattled(atoms: Atoms) -> Atoms:
    atoms.rattle(0.05, seed=3)
    return atoms


@pytest.mark.parametrize("change", [[[0, 1, 0], [1, 0, 0], [0, 0, 1]], [[1, 0, 0], [0, 1, 0], [0, 0, -1]], -np.eye(3)])
def test_a_left_handed_cell_becomes_right_handed_with_the_same_labels(change: object) -> None:
    right = label_by_emt(rattled(bulk("Cu", cubic=True)))
    left = right.copy()
    left.set_cell(np.array(change) @ right.cell.array)
    left = label_by_emt(left)
    repaired = repair(left)
    assert np.linalg.det(left.cell.array) < 0.0 < np.linalg.det(repaired.atoms.cell.array)
    assert len(repaired.changes) == 1 and "left-handed" in repaired.changes[0]
    assert np.array_equal(repaired.atoms.positions, left.positions)
    assert distance(fingerprint(repaired.atoms), fingerprint(right)) < 1e-6
    again = label_by_emt(repaired.atoms.copy()).calc.results
    for name in ("energy", "forces", "stress"):
        assert np.allclose(repaired.atoms.calc.results[name], again[name], atol=1e-10), name


def test_pyace_accepts_a_repaired_cell() -> None:
    from pyace.atomicenvironment import aseatoms_to_atomicenvironment

    left = label_by_emt(rattled(bulk("Cu", cubic=True)))
    left.set_cell(left.cell.array[[1, 0, 2]])
    with pytest.raises(RuntimeError, match="Extreme shape"):
        aseatoms_to_atomicenvironment(left, cutoff=5.0)
    aseatoms_to_atomicenvironment(repair(left).atoms, cutoff=5.0)


def slab(vacuum: float) -> Atoms:
    atoms = fcc111("Cu", (2, 2, 3), vacuum=vacuum)
    atoms.pbc = (True, True, False)
    return rattled(atoms)


@pytest.mark.parametrize("kind", ["thin vacuum", "thick vacuum", "no vector", "wire", "wire along b"])
def test_slabs_and_wires_become_periodic_with_the_same_labels(kind: str) -> None:
    atoms = slab(20.0 if kind == "thick vacuum" else 2.0)
    if kind == "no vector":
        atoms.cell[2] = 0.0
    if kind == "wire":
        atoms.pbc = (True, False, False)
    if kind == "wire along b":
        atoms.pbc = (False, True, False)
    calculator = EMT()
    copy = atoms.copy()
    copy.calc = calculator
    labels = {"energy": copy.get_potential_energy(), "forces": copy.get_forces()}
    if kind != "no vector":
        labels["stress"] = copy.get_stress()
    atoms.calc = SinglePointCalculator(atoms, **labels)
    repaired = repair(atoms)
    assert repaired.atoms.pbc.all() and len(repaired.changes) == 1
    assert np.linalg.det(repaired.atoms.cell.array) > 0.0
    assert ("wire" if kind.startswith("wire") else "slab") in repaired.changes[0]
    anew = label_by_emt(repaired.atoms.copy()).calc.results
    results = repaired.atoms.calc.results
    assert results["energy"] == pytest.approx(anew["energy"], abs=1e-9)
    assert np.allclose(results["forces"], anew["forces"], atol=1e-9)
    if kind == "no vector":
        assert "stress" not in results
    else:
        # The fit uses stress times volume.
        before = labels["stress"] * abs(np.linalg.det(atoms.cell.array))
        assert np.allclose(results["stress"] * repaired.atoms.get_volume(), before)
        assert np.allclose(results["stress"], anew["stress"], atol=1e-9)
    if kind == "thick vacuum":
        assert np.array_equal(repaired.atoms.cell.array, atoms.cell.array)
    else:
        images = repaired.atoms.repeat(2)
        heights = sorted(np.linalg.norm(repaired.atoms.cell.array, axis=1))
        assert heights[-1] > ADDED_VACUUM and len(images) == 8 * len(atoms)


@pytest.mark.parametrize("key", ["config_type", "family", "group"])
@pytest.mark.parametrize("name", ["IsolatedAtom", "isolated_atom", "isolated atom", "Isolated-Atom", "free atom"])
def test_isolated_atom_in_a_small_box_becomes_a_free_atom(key: str, name: str) -> None:
    atoms = label_by_emt(Atoms("Cu", cell=[6.0, 6.0, 6.0], pbc=True))
    assert not is_free_atom(atoms)
    atoms.info[key] = name
    repaired = repair(atoms)
    assert is_free_atom(repaired.atoms) and not repaired.atoms.pbc.any()
    assert "stress" not in repaired.atoms.calc.results and len(repaired.changes) == 1
    assert repaired.atoms.calc.results["energy"] == atoms.calc.results["energy"]


def test_valid_structures_are_returned_unchanged() -> None:
    for atoms in (bulk("Cu"), Atoms("CO", [[0, 0, 0], [0, 0, 1.1]]), Atoms("Cu", cell=[3, 3, 3], pbc=True)):
        assert repair(atoms).atoms is atoms
        assert repair(atoms).changes == ()


def with_cell(cell: object, pbc: object = True) -> Atoms:
    return Atoms("Cu2", [[0, 0, 0], [0, 0, 2]], cell=cell, pbc=pbc)


@pytest.mark.parametrize(
    ("atoms", "message"),
    [
        (Atoms(), "no atoms"),
        (Atoms("CuX", [[0, 0, 0], [0, 0, 2]]), "atom 1 is 'X', a ghost"),
        (Atoms([29, 140], [[0, 0, 0], [0, 0, 2]]), "atom 1 is of the atomic number 140"),
        (with_cell([4, 4, 0]), "periodic along c, where the cell has no vector"),
        (with_cell([0, 4, 4], [True, True, False]), "periodic along a, where"),
        (with_cell([[4, 0, 0], [0, 4, 0], [4, 4, 0]]), "span no cell"),
        (with_cell([[4, 0, 0], [8, 0, 0], [0, 0, 9]], [True, True, False]), "span no cell"),
        (with_cell([4, 4, 0.3]), "the cell is 0.3 Å thin"),
        (with_cell([4, 4, np.nan]), "cell not finite"),
        (Atoms("Cu2", [[0, 0, 0], [0, 0, np.inf]]), "positions not finite"),
        (Atoms("Cu3", [[0, 0, 0], [0, 0, 2], [0, 0, 2.05]]), "atoms 1 and 2 are at the same place"),
        (
            Atoms("Cu2", [[0.01, 0, 0], [4.0, 4.0, 0.0]], cell=[4, 4, 4], pbc=True),
            "atoms 0 and 1 are at the same place",
        ),
    ],
)
def test_error_gives_the_reason_if_a_structure_cannot_be_repaired(atoms: Atoms, message: str) -> None:
    with pytest.raises(UnusableError, match=message):
        repair(atoms)
