"""Implausible labels are found with their cause; correct labels give no issue."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read
from ase.units import Bohr, GPa, Hartree, Rydberg, kcal, kJ, mol
from hypothesis import assume, given
from hypothesis.strategies import floats, integers, lists, tuples
from scipy.stats import spearmanr

from aiida_mlip_autopipec.config.schemas.curation import CurationConfig
from aiida_mlip_autopipec.dataset.curate import curate
from aiida_mlip_autopipec.dataset.plausibility import _rank_correlation, find_issues
from aiida_mlip_autopipec.generator.structure import StructureGenerator

from ..conftest import label_by_emt

Change = Callable[[int, Atoms, dict[str, Any]], None]


def silicon() -> list[Atoms]:
    return list(read(Path(__file__).parent / "data" / "silicon.extxyz", ":"))


def lithium() -> list[Atoms]:
    return list(read(Path(__file__).parent / "data" / "lithium.extxyz", ":"))


@pytest.fixture(scope="module")
def aluminium() -> list[Atoms]:
    return [label_by_emt(atoms) for atoms in StructureGenerator().generate_initial_set("Al", 120)]


def changed(frames: list[Atoms], change: Change) -> list[Atoms]:
    """Return copies whose labels a function of index, copy and labels has changed."""
    copies = []
    for index, atoms in enumerate(frames):
        copy, labels = atoms.copy(), {name: np.array(value) for name, value in atoms.calc.results.items()}
        change(index, copy, labels)
        copy.calc = SinglePointCalculator(copy, **labels)
        copies.append(copy)
    return copies


def times(name: str, factor: float) -> Change:
    def change(_: int, __: Atoms, labels: dict[str, Any]) -> None:
        if name in labels:
            labels[name] = labels[name] * factor

    return change


def virial(_: int, atoms: Atoms, labels: dict[str, Any]) -> None:
    if "stress" in labels:
        labels["stress"] = -labels["stress"] * atoms.get_volume()


def in_bohr(_: int, atoms: Atoms, __: dict[str, Any]) -> None:
    atoms.set_cell(atoms.cell.array / Bohr)
    atoms.positions /= Bohr


def per_atom(_: int, atoms: Atoms, labels: dict[str, Any]) -> None:
    labels["energy"] = labels["energy"] / len(atoms)


def half_in_hartree(index: int, _: Atoms, labels: dict[str, Any]) -> None:
    if index % 2:
        labels["energy"] = labels["energy"] / Hartree


def two_methods(index: int, atoms: Atoms, labels: dict[str, Any]) -> None:
    if index % 3 == 1:
        labels["energy"] = labels["energy"] + 0.3 * len(atoms)


WRONG: dict[str, tuple[Change, str, str]] = {
    "sign of the stress": (times("stress", -1.0), "stress", "opposite sign (that of a pressure"),
    "kbar as VASP prints it": (times("stress", -10.0 / GPa), "stress", "kbar with the opposite sign"),
    "kbar": (times("stress", 10.0 / GPa), "stress", "stress is in kbar: multiply"),
    "GPa": (times("stress", 1.0 / GPa), "stress", "stress is in GPa: multiply"),
    "virial as stress": (virial, "stress", "virial in eV"),
    "Hartree/Bohr": (times("forces", Bohr / Hartree), "forces", "forces are in Hartree/Bohr: multiply"),
    "Rydberg/Bohr": (times("forces", Bohr / Rydberg), "forces", "forces are in Rydberg/Bohr"),
    "gradients": (times("forces", -1.0), "forces", "forces have the opposite sign"),
    "energies in Hartree": (times("energy", 1.0 / Hartree), "forces", "energies are in Hartree"),
    "kJ/mol": (
        times("energy", mol / kJ),
        "forces",
        "energies are in kJ/mol, the forces in eV/Å: multiply the energies",
    ),
    "kcal/mol": (times("energy", mol / kcal), "forces", "energies are in kcal/mol, the forces in eV/Å"),
    "forces in kJ/mol/Å": (times("forces", mol / kJ), "forces", "forces are in kJ/mol/Å"),
    "forces in kcal/mol/Å": (times("forces", mol / kcal), "forces", "forces are in kcal/mol/Å"),
    "forces in eV/nm": (times("forces", 10.0), "forces", "forces are in eV/nm: multiply them by 0.1"),
    "energies per atom": (per_atom, "forces", "energies are per atom"),
    "half in Hartree": (half_in_hartree, "mixed_energies", "some energies are in Hartree, some in eV"),
    "two methods": (two_methods, "mixed_energies", "two methods"),
    "Bohr": (in_bohr, "distances", "in Bohr"),
}


@pytest.mark.parametrize(
    "name", [name for name, wrong in WRONG.items() if wrong[1] != "forces" or "energies" in wrong[2]]
)
def test_cause_of_wrong_labels_of_silicon_is_found(name: str) -> None:
    change, check, cause = WRONG[name]
    (issue,) = find_issues(changed(silicon(), change))
    assert issue.check == check and cause in issue.cause, issue


@pytest.mark.parametrize("name", sorted(set(WRONG) - {"half in Hartree"}))
def test_cause_of_wrong_labels_of_generated_structures_is_found(name: str, aluminium: list[Atoms]) -> None:
    change, check, cause = WRONG[name]
    (issue,) = find_issues(changed(aluminium, change))
    assert issue.check == check and cause in issue.cause, issue


def test_both_causes_are_named_if_their_factors_are_similar(aluminium: list[Atoms]) -> None:
    for change in (times("energy", mol / kcal), times("forces", Bohr / Rydberg)):
        (issue,) = find_issues(changed(aluminium, change))
        assert "energies are in kcal/mol" in issue.cause and "forces are in Rydberg/Bohr" in issue.cause
        assert " or the " in issue.cause
    (issue,) = find_issues(changed(aluminium, times("forces", 10.0)))
    assert " or " not in issue.cause


@pytest.mark.parametrize("elements", [["Cu"], ["Cu", "Au"]])
def test_generated_structures_are_plausible(elements: list[str]) -> None:
    assert find_issues([label_by_emt(atoms) for atoms in StructureGenerator().generate(elements, 60)]) == []


def test_published_structures_are_plausible(aluminium: list[Atoms]) -> None:
    assert find_issues(silicon()) == []
    assert find_issues(lithium()) == []
    assert find_issues(aluminium) == []
    without_stress = changed(silicon(), lambda _, __, labels: labels.pop("stress"))
    assert find_issues(without_stress) == []


def test_structures_far_from_equilibrium_are_no_evidence_for_two_methods() -> None:
    """Forces predict the energy differences of three pairs of strongly rattled cells only to about 0.05 eV/atom."""
    rattled = read(Path(__file__).parent / "data" / "rattled_alloys.extxyz", ":")
    near = [bulk("Cu", cubic=True) for _ in range(6)]
    for seed, atoms in enumerate(near):
        atoms.rattle(0.02, seed=seed)
    assert find_issues([*rattled, *map(label_by_emt, near)]) == []


def volumes() -> list[Atoms]:
    """Return crystals with different numbers of atoms, which cannot be compared atom by atom."""
    frames = []
    for number, scale in enumerate(np.linspace(0.93, 1.07, 12)):
        atoms = bulk("Cu", "fcc", a=3.6 * scale, cubic=True)
        atoms.rattle(0.02, seed=number)
        frames.append(label_by_emt(atoms.repeat((1, 1, 1 + number))))
    return frames


def test_wrong_stress_is_found_from_volumes_without_similar_structures() -> None:
    frames = volumes()
    assert find_issues(frames) == []
    (issue,) = find_issues(changed(frames, times("stress", -1.0)))
    assert issue.check == "stress" and "opposite sign" in issue.cause
    (issue,) = find_issues(changed(frames, times("stress", 10.0 / GPa)))
    assert issue.check == "stress" and "kbar" in issue.cause


def shifted(energy: float) -> Change:
    def change(_: int, atoms: Atoms, labels: dict[str, Any]) -> None:
        labels["energy"] = labels["energy"] + energy * len(atoms)

    return change


def test_energies_of_free_atoms() -> None:
    free = label_by_emt(Atoms("Cu", cell=[20, 20, 20], pbc=True))
    frames = volumes()
    assert find_issues([free, *frames]) == []
    totals = changed(frames, shifted(-1000.0))
    at_zero = changed([free], lambda _, __, labels: labels.update(energy=0.0))
    (issue,) = find_issues([*at_zero, *totals])
    assert issue.check == "free_atoms" and "have the energy 0" in issue.cause
    in_hartree = changed(changed([free], shifted(-1000.0)), times("energy", 1.0 / Hartree))
    (issue,) = find_issues([*in_hartree, *totals])
    assert issue.check == "free_atoms" and "Hartree" in issue.cause
    (issue,) = find_issues(changed(changed([free, *frames], times("energy", mol / kJ)), times("forces", mol / kJ)))
    assert issue.check == "free_atoms" and "all energies are in kJ/mol" in issue.cause
    (issue,) = find_issues([*changed([free], shifted(-9.0)), *frames])
    assert issue.check == "free_atoms" and "below all other structures" in issue.message
    gold = label_by_emt(bulk("Au", cubic=True))
    (issue,) = find_issues([free, gold, *frames])
    assert issue.check == "free_atoms" and "none of Au" in issue.message


def test_a_single_atom_in_a_box_too_small_for_an_isolated_atom_is_named() -> None:
    frames = volumes()
    boxed = [label_by_emt(Atoms("Cu", cell=[length] * 3, pbc=True)) for length in (3.2, 7.9)]
    (issue,) = find_issues([*frames, *boxed])
    assert "images are 7.9 Å apart, less than 8 Å" in issue.message and "larger box" in issue.cause
    free = label_by_emt(Atoms("Cu", cell=[8.1] * 3, pbc=True))
    assert find_issues([*frames, *boxed, free]) == find_issues([*frames, boxed[0]]) == []


def test_energies_of_two_methods_are_found_without_similar_structures() -> None:
    totals = changed(volumes(), shifted(-100.0))
    assert find_issues(totals) == []
    mixed = changed(totals, lambda index, atoms, labels: shifted(100.0)(index, atoms, labels) if index % 2 else None)
    (issue,) = find_issues(mixed)
    assert issue.check == "mixed_energies" and "total and atomization" in issue.cause
    (issue,) = find_issues(changed(totals, half_in_hartree))
    assert issue.check == "mixed_energies" and "Hartree" in issue.cause
    (issue,) = find_issues(changed(totals, per_atom))
    assert issue.check == "energy_per_atom" and "per atom" in issue.cause


def test_equivalent_cells_with_other_vectors_are_not_compared(aluminium: list[Atoms]) -> None:
    """Cells with negated vectors, whose mean with the original is singular, and with permuted vectors."""
    for turn in (-np.eye(3), np.eye(3)[[1, 2, 0]]):
        turned = changed(
            aluminium, lambda index, atoms, _, turn=turn: atoms.set_cell(turn @ atoms.cell.array) if index % 2 else None
        )
        assert find_issues(turned) == []


@pytest.mark.parametrize("number", [0, 1, 2])
def test_fewer_than_three_structures_are_not_checked(number: int) -> None:
    assert find_issues(volumes()[:number]) == []


def test_curation_report_lists_implausible_labels() -> None:
    settings = CurationConfig()
    assert curate(silicon(), settings, test_fraction=0.1, seed=1).report["plausibility"] == []
    wrong = changed(silicon(), times("stress", -10.0 / GPa))
    (issue,) = curate(wrong, settings, test_fraction=0.1, seed=1).report["plausibility"]
    assert issue["check"] == "stress" and "kbar" in issue["cause"] and "%" in issue["message"]


@given(lists(tuples(integers(0, 9), floats(-5, 5)), min_size=8, max_size=30))
def test_the_rank_correlation_is_that_of_scipy(pairs: list[tuple[int, float]]) -> None:
    first, second = np.array(pairs).T
    assume(first.std() > 0 and second.std() > 0)
    assert _rank_correlation(first, second) == pytest.approx(spearmanr(first, second).statistic, abs=1e-12)
