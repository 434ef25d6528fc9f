"""Molecular dynamics by effective medium theory, and the checks of its records."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from aiida_mlip_autopipec.config.schemas.validation import DynamicsConfig, ValidationConfig
from aiida_mlip_autopipec.validation.checks import Check
from aiida_mlip_autopipec.validation.dynamics import check_dynamics

CONFIG = ValidationConfig(dynamics=DynamicsConfig(temperature=300, nvt_steps=200, nve_steps=200))


@pytest.fixture(scope="module")
def start() -> Atoms:
    return bulk("Cu", a=3.59, cubic=True) * (2, 2, 2)


@pytest.fixture(scope="module")
def record(start: Atoms) -> dict[str, Any]:
    from mlip_evaluate.dynamics import run_dynamics

    return run_dynamics(start, EMT(), CONFIG.dynamics.model_dump(), 1, graded=False)


def checks_of(start: Atoms, record: dict[str, Any]) -> dict[str, Check]:
    return {check.name: check for check in check_dynamics("Cu fcc", start, record, CONFIG)[0]}


def test_stable_run_passes(start: Atoms, record: dict[str, Any]) -> None:
    checks = checks_of(start, record)
    assert all(check.passed for check in checks.values())
    assert checks.keys() == {"energy_drift", "energy_fluctuation", "closest_approach"}
    assert record["time"][-1] == pytest.approx(0.4)
    assert 150 < record["temperature"].mean() < 450


def test_the_same_seed_gives_the_same_run(start: Atoms, record: dict[str, Any]) -> None:
    from mlip_evaluate.dynamics import run_dynamics

    again = run_dynamics(start, EMT(), CONFIG.dynamics.model_dump(), 1, graded=False)
    assert np.array_equal(again["total_energy"], record["total_energy"])


def test_all_steps_are_run_if_the_interval_divides_neither_number_of_steps(start: Atoms) -> None:
    from mlip_evaluate.dynamics import run_dynamics

    computed: list[int] = []

    class CountingEMT(EMT):
        def calculate(self, *arguments: Any, **options: Any) -> None:
            super().calculate(*arguments, **options)
            computed.append(len(computed))

    settings = {**CONFIG.dynamics.model_dump(), "nvt_steps": 206, "nve_steps": 103, "timestep": 2.0}
    record = run_dynamics(start, CountingEMT(), settings, 1, graded=False)
    assert len(computed) == 1 + 206 + 103
    nvt, nve = (record["time"][record["constant_energy"] == stage] for stage in (0, 1))
    assert (nvt[0], nvt[-1], nve[0], nve[-1]) == pytest.approx((0.0, 0.412, 0.412, 0.618))
    assert np.diff(nve)[:-1] == pytest.approx(0.006) and 0 < np.diff(nve)[-1] <= 0.006


def test_collapse_energy_drift_and_large_grade_fail(start: Atoms, record: dict[str, Any]) -> None:
    spoilt = {
        **record,
        "closest": record["closest"] * 0.5,
        "total_energy": record["total_energy"] + record["time"] * 0.1,
        "grade": np.full_like(record["time"], 80.0),
    }
    failed = {name for name, check in checks_of(start, spoilt).items() if not check.passed}
    assert failed == {"closest_approach", "energy_drift", "extrapolation_grade"}


def test_too_long_time_step_does_not_conserve_the_energy(start: Atoms) -> None:
    from mlip_evaluate.dynamics import run_dynamics

    record = run_dynamics(start, EMT(), {**CONFIG.dynamics.model_dump(), "timestep": 45.0}, 1, graded=False)
    failed = {name for name, check in checks_of(start, record).items() if not check.passed}
    assert failed & {"energy_drift", "energy_fluctuation", "dynamics"}
