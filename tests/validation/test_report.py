"""The report, with effective medium theory as potential and oracle, also with wrong labels of one of them."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.emt import EMT

from aiida_mlip_autopipec.config.schemas.validation import DynamicsConfig, ValidationConfig
from aiida_mlip_autopipec.dataset.trajectory import attach_labels
from aiida_mlip_autopipec.validation.plan import Plan
from aiida_mlip_autopipec.validation.report import validation_report

from .conftest import labelled, sized_by_emt

CHECK = {"name", "structure", "quantity", "unit", "potential", "oracle", "deviation", "limit", "passed", "reason"}
CURVE = {"name", "kind", "x_label", "y_label", "x", "potential", "oracle"}


@pytest.fixture(scope="module")
def plan() -> Plan:
    config = ValidationConfig(dynamics=DynamicsConfig(nvt_steps=20, nve_steps=50, max_atoms=16))
    return Plan(sized_by_emt(["Cu"], config), config)


@pytest.fixture(scope="module")
def labels(plan: Plan) -> dict[str, Atoms]:
    return labelled(plan.structures())


@pytest.fixture(scope="module")
def records(plan: Plan) -> dict[str, Any]:
    from mlip_evaluate.dynamics import run_dynamics

    settings = plan.config.dynamics.model_dump()
    return {name: run_dynamics(start, EMT(), settings, 1, graded=False) for name, start in plan.starts().items()}


def test_method_compared_with_itself_has_no_deviations(
    plan: Plan, labels: dict[str, Atoms], records: dict[str, Any]
) -> None:
    verdict = validation_report(plan, labels, labels, records)
    compared = [check for check in verdict["checks"] if check["oracle"] is not None]
    assert verdict["passed"] and len(compared) > 25
    assert {check["deviation"] for check in compared} == {0.0}
    # There is no active set, and only the user's phases have the last two.
    missing = {"extrapolation_grade", "hull_energy", "lattice_angle"}
    assert {check["name"] for check in verdict["checks"]} >= set(type(plan.config.limits).model_fields) - missing


def test_content_of_the_validation_report(plan: Plan, labels: dict[str, Atoms], records: dict[str, Any]) -> None:
    verdict = json.loads(json.dumps(validation_report(plan, labels, labels, records), allow_nan=False))
    assert verdict.keys() == {"passed", "checks", "curves", "settings"}
    assert all(check.keys() == CHECK for check in verdict["checks"])
    assert all(curve.keys() == CURVE for curve in verdict["curves"])
    assert {curve["kind"] for curve in verdict["curves"]} == {"equation_of_state", "dimer", "phonons", "md"}
    for curve in verdict["curves"]:
        assert len(curve["x"]) == len(curve["potential"])
        assert curve["oracle"] is None or len(curve["oracle"]) == len(curve["x"])
        assert (curve["oracle"] is None) == (curve["kind"] == "md")


def test_a_shifted_zero_of_energy_is_no_deviation(
    plan: Plan, labels: dict[str, Atoms], records: dict[str, Any]
) -> None:
    shifted = {}
    for name, atoms in labels.items():
        results = dict(atoms.calc.results)
        results["energy"] = results["energy"] - 1234.5 * len(atoms)
        shifted[name] = attach_labels(atoms.copy(), results)
    verdict = validation_report(plan, shifted, labels, records)
    assert verdict["passed"]
    assert max(abs(check["deviation"]) for check in verdict["checks"] if check["oracle"] is not None) < 1e-5


def test_checks_that_need_a_missing_label_fail_with_the_reason(
    plan: Plan, labels: dict[str, Atoms], records: dict[str, Any]
) -> None:
    rest = {name: atoms for name, atoms in labels.items() if name != "Cu fcc vacancy"}
    verdict = validation_report(plan, labels, rest, records)
    assert not verdict["passed"]
    (failed,) = [check for check in verdict["checks"] if not check["passed"]]
    assert failed["name"] == "vacancy_formation_energy" and failed["oracle"] is None
    assert failed["reason"] == "oracle: 'Cu fcc vacancy' has no label"


def test_a_stiffer_potential_fails_by_its_limits(plan: Plan, labels: dict[str, Atoms], records: dict[str, Any]) -> None:
    stiff = {}
    for name, atoms in labels.items():
        results = {key: 1.3 * np.asarray(value) for key, value in atoms.calc.results.items()}
        stiff[name] = attach_labels(atoms.copy(), {**results, "energy": float(results["energy"])})
    verdict = validation_report(plan, stiff, labels, records)
    failed = {check["name"] for check in verdict["checks"] if not check["passed"]}
    assert {"bulk_modulus", "elastic_constant", "surface_energy", "vacancy_formation_energy"} <= failed
    assert "lattice_constant" not in failed
    modulus = next(check for check in verdict["checks"] if check["name"] == "bulk_modulus")
    assert modulus["deviation"] == pytest.approx(0.3, abs=1e-6)
    generous = plan.config.model_copy(
        update={"limits": plan.config.limits.model_copy(update={"bulk_modulus": 0.5, "elastic_constant": 0.5})}
    )
    again = validation_report(Plan(plan.crystals, generous), stiff, labels, records)
    assert {"bulk_modulus", "elastic_constant"}.isdisjoint(
        check["name"] for check in again["checks"] if not check["passed"]
    )


def test_dynamics_that_explode_fail(plan: Plan, labels: dict[str, Atoms]) -> None:
    from mlip_evaluate.dynamics import run_dynamics

    settings = {**plan.config.dynamics.model_dump(), "timestep": 100.0}
    records = {name: run_dynamics(start, EMT(), settings, 1, graded=False) for name, start in plan.starts().items()}
    verdict = validation_report(plan, labels, labels, records)
    assert not verdict["passed"]
    failed = [check for check in verdict["checks"] if not check["passed"]]
    assert any(check["quantity"] == "MD run completed" and "K" in check["reason"] for check in failed)
    assert all(check["deviation"] is None or math.isfinite(check["deviation"]) for check in failed)


def test_compounds_are_compared_too() -> None:
    config = ValidationConfig(level="quick", parts=("equation_of_state", "elastic"))
    plan = Plan(sized_by_emt(["Al", "Cu"], config), config)
    labels = labelled(plan.structures())
    verdict = validation_report(plan, labels, labels, {})
    assert verdict["passed"]
    structures = {check["structure"] for check in verdict["checks"]}
    assert {"Al fcc", "Cu fcc", "Al3Cu l1_2", "AlCu3 l1_2", "AlCu b2"} <= structures
    formation = {check["structure"]: check for check in verdict["checks"] if check["quantity"] == "energy of formation"}
    assert len(formation) == 6
    assert len({check["structure"] for check in verdict["checks"] if check["name"] == "elastic_constant"}) == 3
