"""Validation of the user's phases: crystals of any symmetry, with effective medium theory as potential and as oracle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from ase.phasediagram import PhaseDiagram
from ase.spacegroup import crystal

from aiida_mlip_autopipec.config.schemas.validation import ValidationConfig
from aiida_mlip_autopipec.dataset.trajectory import attach_labels
from aiida_mlip_autopipec.validation.crystals import ValidationCrystal, at_equilibrium, crystals_of, given_crystals
from aiida_mlip_autopipec.validation.elastic import STRAIN, ElasticConstants, strained
from aiida_mlip_autopipec.validation.hull import energies_above_hull
from aiida_mlip_autopipec.validation.measurement import Labels
from aiida_mlip_autopipec.validation.phonons import Phonons
from aiida_mlip_autopipec.validation.plan import Plan
from aiida_mlip_autopipec.validation.report import validation_report

from .conftest import labelled, values_of

PARTS = ("equation_of_state", "elastic", "vacancy", "surfaces", "phonons")


def ordered(symbols: list[str], a: float) -> Atoms:
    atoms = bulk("Cu", "fcc", a=a, cubic=True)
    atoms.symbols = symbols
    return atoms


def named(**phases: Atoms) -> list[Atoms]:
    for name, atoms in phases.items():
        atoms.info["seed"] = name
    return list(phases.values())


def sized(phases: list[Atoms], config: ValidationConfig) -> list[ValidationCrystal]:
    """Return phases at the energy minimum by effective medium theory."""
    from mlip_evaluate.equilibrium import find_minimum, relax

    crystals = crystals_of([], config, phases)
    factors, energies, relaxed = {}, {}, {}
    for phase in crystals:
        minimum = find_minimum(phase.atoms, EMT())
        assert minimum is not None
        factors[phase.name], energies[phase.name] = minimum
        if (found := relax(phase.atoms, minimum[0], EMT())) is not None:
            relaxed[phase.name], energies[phase.name] = found, found.get_potential_energy() / len(found)
    return at_equilibrium(crystals, factors, energies, relaxed)


@pytest.fixture(scope="module")
def plan() -> Plan:
    phases = named(
        Cu=bulk("Cu", cubic=True),
        Au=bulk("Au", cubic=True),
        CuAu=ordered(["Cu", "Cu", "Au", "Au"], 3.9),
        Cu3Au=ordered(["Au", "Cu", "Cu", "Cu"], 3.75),
    )
    config = ValidationConfig(parts=PARTS)
    return Plan(sized(phases, config), config)


@pytest.fixture(scope="module")
def labels(plan: Plan) -> Labels:
    return labelled(plan.structures())


@pytest.fixture(scope="module")
def report(plan: Plan, labels: Labels) -> dict[str, Any]:
    return validation_report(plan, labels, labels, {})


def test_phases_are_validated_in_place_of_guessed_crystals(report: dict[str, Any]) -> None:
    assert {check["structure"] for check in report["checks"]} == {"Cu", "Au", "CuAu", "Cu3Au"}
    guessed = crystals_of(["Cu"], ValidationConfig(guessed_crystals=True), named(Cu=bulk("Cu")))
    assert [phase.given for phase in guessed] == [True, *[False] * 5]


def test_each_phase_has_all_quantities(report: dict[str, Any], plan: Plan) -> None:
    assert report["passed"]
    for phase in plan.crystals:
        checks = [check for check in report["checks"] if check["structure"] == phase.name]
        count = {name: sum(check["name"] == name for check in checks) for name in {check["name"] for check in checks}}
        assert count["lattice_constant"] >= 1 and count["bulk_modulus"] == count["hull_energy"] == 1
        assert count["phonon_frequency"] >= 2 and count["surface_energy"] >= 3
        assert count["vacancy_formation_energy"] == len(phase.elements)
        assert count["elastic_constant"] == (6 if phase.name == "CuAu" else 3)
        assert count.get("crystal_energy", 0) == len(phase.elements) - 1
    assert max(len(atoms) for atoms in plan.structures().values()) <= 32


def test_a_tetragonal_phase_is_relaxed_and_its_lattice_parameters_are_compared(
    plan: Plan, labels: Labels, report: dict[str, Any]
) -> None:
    atoms = ordered(["Cu", "Cu", "Au", "Au"], 3.9)
    atoms.calc = EMT()
    BFGS(FrechetCellFilter(atoms), logfile=None).run(fmax=1e-4)
    # The standard cell of L1_0 has half the atoms: its a is half the diagonal of the square face.
    c, a = atoms.cell.lengths()[0], atoms.cell.lengths()[1] / 2**0.5
    values = {check["quantity"]: check["oracle"] for check in report["checks"] if check["structure"] == "CuAu"}
    assert values["a"] == pytest.approx(a, rel=1e-3)
    assert values["c"] == pytest.approx(c, rel=1e-3)
    # The same lattice parameters from another cell, by the response to its stress.
    phase = next(phase for phase in plan.crystals if phase.name == "CuAu")
    moved = phase.atoms.copy()
    moved.set_cell(moved.cell.array @ np.diag([1.004, 1.004, 0.994]), scale_atoms=True)
    other = ElasticConstants(ValidationCrystal("CuAu", "", moved, given=True))
    again = values_of(other.measure(labelled(other.structures())))
    assert again["CuAu a"] == pytest.approx(a, rel=1.5e-3)
    assert again["CuAu c"] == pytest.approx(c, rel=1.5e-3)


def test_constants_of_a_crystal_of_low_symmetry_are_those_of_relaxed_cells() -> None:
    """Monoclinic: 13 constants; two of them against stresses of cells whose atoms are relaxed."""
    cell = crystal(
        ["Cu", "Au"], [(0.07, 0.25, 0.06), (0.53, 0.75, 0.44)], spacegroup=11, cellpar=[2.8, 3.9, 4.6, 90, 97, 90]
    )
    atoms = Atoms(cell.numbers, positions=cell.positions, cell=cell.cell, pbc=True)
    atoms.calc = EMT()
    BFGS(atoms, logfile=None).run(fmax=1e-5, steps=400)
    atoms.info["seed"] = "P21/m"
    (phase,) = given_crystals([atoms])
    constants = ElasticConstants(phase)
    tensor = constants.tensor(labelled(constants.structures())) / units.GPa
    if np.linalg.eigvalsh(tensor).min() > 0:
        names = {q.name for q in constants.measure(labelled(constants.structures())).quantities}
        assert len([name for name in names if name.startswith("C")]) == 13

    def stress(index: int, amount: float) -> np.ndarray:
        moved = strained(phase.atoms, index, amount)
        moved.calc = EMT()
        BFGS(moved, logfile=None).run(fmax=1e-6, steps=400)
        return np.asarray(moved.get_stress()) / units.GPa

    for index in (1, 2):
        column = (stress(index, STRAIN) - stress(index, -STRAIN)) / (2 * STRAIN)
        assert tensor[:3, index] == pytest.approx(column[:3], abs=0.03 * abs(tensor).max())


def test_the_hull_is_that_of_ase() -> None:
    formulas = {"Cu": 0.1, "Au": -0.2, "CuAu": -0.35, "Cu3Au": 0.05, "CuAu3": -0.31}
    phases = [Atoms(formula) for formula in formulas]
    totals = [energy * len(atoms) for energy, atoms in zip(formulas.values(), phases, strict=True)]
    diagram = PhaseDiagram(list(zip(formulas, totals, strict=True)), verbose=False)
    expected = [
        (total - diagram.decompose(formula)[0]) / len(atoms)
        for formula, total, atoms in zip(formulas, totals, phases, strict=True)
    ]
    found = energies_above_hull(phases, list(formulas.values()))
    assert found == pytest.approx(expected, abs=1e-9)
    assert max(found) > 0.1 and found.count(0.0) >= 3


def test_phases_without_crystals_of_their_elements(labels: Labels, plan: Plan) -> None:
    compounds = [phase for phase in plan.crystals if len(phase.elements) == 2]
    alone = Plan(compounds, plan.config)
    verdict = validation_report(alone, labelled(alone.structures()), labelled(alone.structures()), {})
    assert verdict["passed"]
    kinds = {check["name"] for check in verdict["checks"]}
    assert "hull_energy" in kinds and "crystal_energy" not in kinds
    units_missing = [check["quantity"] for check in verdict["checks"] if check["name"] == "vacancy_formation_energy"]
    assert units_missing == ["missing formula unit, unrelaxed"] * 2


def test_quantities_of_crystals_unstable_by_the_oracle_are_not_comparable() -> None:
    """Simple cubic copper shears away under effective medium theory, and has imaginary frequencies."""
    config = ValidationConfig(parts=("equation_of_state", "elastic", "phonons"))
    plan = Plan(sized(named(sc=bulk("Cu", "sc", a=2.4)), config), config)
    labels = labelled(plan.structures())
    wrong = {
        name: attach_labels(atoms.copy(), {**atoms.calc.results, "forces": 1.5 * atoms.get_forces()})
        for name, atoms in labels.items()
    }
    verdict = validation_report(plan, wrong, labels, {})
    compared = {check["quantity"]: check["passed"] for check in verdict["checks"]}
    assert compared["a"] is True and compared["B"] is True
    assert compared["C11"] is None and compared["C44"] is None
    assert {compared[name] for name in compared if name.startswith("highest")} == {None}
    reasons = [check["reason"] for check in verdict["checks"] if check["passed"] is None]
    assert all(reason.startswith("not comparable: sc ") for reason in reasons)
    assert verdict["passed"]


def test_oracle_without_minimum_is_not_comparable_and_a_distant_minimum_fails(plan: Plan, labels: Labels) -> None:
    phase = plan.crystals[0]
    config = ValidationConfig(parts=("equation_of_state",))
    alone = Plan([phase], config)
    repelling, shifted = {}, {}
    for name, atoms in labelled(alone.structures()).items():
        volume = atoms.get_volume() / len(atoms)
        larger = (volume / (1.05**3 * phase.atoms.get_volume())) ** (1 / 3) - 1
        repelling[name] = attach_labels(atoms.copy(), {"energy": 10 * len(atoms) / volume})
        shifted[name] = attach_labels(atoms.copy(), {"energy": 50 * larger**2 * len(atoms)})
    verdict = validation_report(alone, labels, repelling, {})
    assert {check["passed"] for check in verdict["checks"]} == {None}
    assert "no energy minimum within 8 %" in verdict["checks"][0]["reason"]
    verdict = validation_report(alone, labels, shifted, {})
    assert {check["passed"] for check in verdict["checks"]} == {False}
    # The potential without minimum fails: the oracle has one.
    assert {check["passed"] for check in validation_report(alone, repelling, labels, {})["checks"]} == {False}


def test_phonons_of_a_large_cell_at_several_points_of_the_boundary(plan: Plan) -> None:
    phase = next(phase for phase in plan.crystals if phase.name == "Cu3Au")
    whole = values_of(_measured(Phonons(phase, 32)))
    parts = values_of(_measured(Phonons(phase, 16, 3)))
    names = [name for name in parts if "highest" in name]
    assert len(names) >= 2
    # A supercell of two cells gives the frequencies at its point exactly, but for the range of the forces.
    for name in names:
        assert parts[name] == pytest.approx(whole[name], rel=0.03)
    assert [name for name in values_of(_measured(Phonons(phase, 4))) if "highest" in name] == ["Cu3Au highest at Γ"]


def _measured(phonons: Phonons) -> Any:
    return phonons.measure(labelled(phonons.structures()))


def test_equal_names_get_numbers_and_few_digits_keep_the_symmetry() -> None:
    rough = bulk("Mg")
    rough.set_cell(np.round(rough.cell.array, 3), scale_atoms=True)
    first, second = given_crystals([*named(Mg=rough), *named(Mg=bulk("Mg"))])
    assert (first.name, second.name) == ("Mg", "Mg 2")
    assert np.allclose(first.atoms.cell.lengths()[0], first.atoms.cell.lengths()[1], atol=1e-12)
