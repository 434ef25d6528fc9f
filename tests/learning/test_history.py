"""The history of active learning."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from aiida_mlip_autopipec.config.schemas.learning import LearningConfig
from aiida_mlip_autopipec.learning import calcfunctions
from aiida_mlip_autopipec.learning.calibration import MIN_LIMIT
from aiida_mlip_autopipec.learning.history import (
    add_failed_round,
    add_round,
    halve_limit,
    initial_history,
    limit_may_be_lowered,
    prediction_errors,
    target_reached,
)
from aiida_mlip_autopipec.pipelines.learning_history import RECORDERS

from ..conftest import label_by_emt

EXPLORED = {"walkers": 8, "steps": 4000, "largest_grade": 11.0, "candidates": 30, "ended": {"limit": 8}}


def oracle(asked: int, failed: int = 0) -> dict[str, Any]:
    return {"asked": asked, "labelled": asked - failed, "failed": [{"label": "Cu"}] * failed, "reused": 0}


def metrics(error: float, test: bool = True) -> dict[str, Any]:
    errors = {"force_rmse_eV_per_A": error, "energy_rmse_meV_per_atom": 10 * error}
    return {"train": errors, "test": errors if test else None, "n_functions": 20, "cutoff_A": 5.0}


def point(grade: float, error: float, n_atoms: int = 4) -> dict[str, Any]:
    return {
        "family": "explored_md",
        "n_atoms": n_atoms,
        "grade": grade,
        "energy_error_meV_per_atom": 5.0,
        "force_rmse_eV_per_A": error,
        "force_rms_eV_per_A": 4.0,
    }


@pytest.fixture
def rattled() -> list[Atoms]:
    frames = []
    for seed, size in enumerate((1, 2, 1)):
        atoms = bulk("Cu", cubic=True) * (size, 1, 1)
        atoms.rattle(0.1, seed=seed)
        frames.append(label_by_emt(atoms))
        frames[-1].info["family"] = f"kind{size}"
    return frames


def test_errors_of_each_structure(rattled: list[Atoms]) -> None:
    free = 3.0
    energies = np.array([atoms.get_potential_energy() - free * len(atoms) + 0.001 * len(atoms) for atoms in rattled])
    forces = np.concatenate([atoms.get_forces() + 0.1 * (1 + number) for number, atoms in enumerate(rattled)])
    forces[: len(rattled[0])] = np.nan
    found = prediction_errors(rattled, energies, forces, np.array([1.0, 2.0, 3.0]), {"Cu": free})
    assert [item["family"] for item in found] == ["kind2", "kind1"]
    assert [item["grade"] for item in found] == [2.0, 3.0]
    assert [item["energy_error_meV_per_atom"] for item in found] == pytest.approx([1.0, 1.0])
    assert [item["force_rmse_eV_per_A"] for item in found] == pytest.approx([0.2, 0.3])
    expected = [np.sqrt(np.mean(atoms.get_forces() ** 2)) for atoms in rattled[1:]]
    assert [item["force_rms_eV_per_A"] for item in found] == pytest.approx(expected)


def test_history_after_a_round() -> None:
    history = initial_history(oracle(40), metrics(0.3), 5.0)
    fresh = [point(grade, 0.1 * grade, n_atoms=2 if grade < 8 else 8) for grade in np.geomspace(2, 10, 10)]
    config = LearningConfig()
    history = add_round(history, EXPLORED, oracle(12, failed=2), fresh, metrics(0.2), config)
    assert json.loads(json.dumps(history)) == history
    start, row = history["rounds"]
    assert (start["round"], start["total"], start["test_force_rmse_eV_per_A"]) == (0, 40, 0.3)
    assert (row["round"], row["asked"], row["failed"], row["total"], history["asked"]) == (1, 12, 2, 52, 52)
    assert row["explored"]["largest_grade"] == 11.0
    errors, atoms = (np.array([item[key] for item in fresh]) for key in ("force_rmse_eV_per_A", "n_atoms"))
    assert row["fresh_force_rmse_eV_per_A"] == pytest.approx(np.sqrt((errors**2 * atoms).sum() / atoms.sum()))
    # The error is 0.1 eV/Å times the grade, and 0.4 eV/Å, a tenth of the forces, is tolerated.
    assert history["select_grade"] == pytest.approx(4.0)
    assert row["select_grade"] == 5.0


def test_history_of_a_fit_without_test_set() -> None:
    history = initial_history(oracle(5), metrics(0.3, test=False), 5.0)
    history = add_round(history, EXPLORED, oracle(5), [point(6.0, 0.1)], metrics(0.2, test=False), LearningConfig())
    assert [row["test_force_rmse_eV_per_A"] for row in history["rounds"]] == [None, None]
    # A single point gives no calibration.
    assert history["select_grade"] == 5.0
    few = add_round(history, {**EXPLORED, "candidates": 2}, oracle(2), [], metrics(0.2, test=False), LearningConfig())
    assert few["select_grade"] == 2.5


def test_a_limit_without_calibration_is_lowered() -> None:
    history = initial_history(oracle(40), metrics(0.3), 1.6)
    limits = []
    while limit_may_be_lowered(history):
        history = halve_limit(history)
        limits.append(history["select_grade"])
    assert limits == [0.8, MIN_LIMIT]
    assert history["idle"] == 2
    fresh = [point(grade, 0.1 * grade) for grade in np.geomspace(2, 10, 10)]
    known = add_round(
        initial_history(oracle(40), metrics(0.3), 5.0), EXPLORED, oracle(10), fresh, metrics(0.2), LearningConfig()
    )
    assert not limit_may_be_lowered(known)


def test_failed_labels_count_towards_the_budget() -> None:
    history = add_failed_round(initial_history(oracle(40), metrics(0.3), 5.0), EXPLORED, oracle(10, failed=10))
    assert history["asked"] == 50
    assert history["rounds"][1]["failed"] == 10
    assert not target_reached(history, LearningConfig(target_force_rmse=10.0))


def test_target_is_compared_only_with_enough_new_labels() -> None:
    config = LearningConfig(target_force_rmse=0.2, fewest_fresh=5)
    begun = initial_history(oracle(40), metrics(0.3), 5.0)
    assert not target_reached(begun, config)
    few = add_round(begun, EXPLORED, oracle(4), [point(6.0, 0.1)] * 4, metrics(0.2), config)
    enough = add_round(begun, EXPLORED, oracle(5), [point(6.0, 0.1)] * 5, metrics(0.2), config)
    bad = add_round(begun, EXPLORED, oracle(5), [point(6.0, 0.3)] * 5, metrics(0.2), config)
    assert [target_reached(history, config) for history in (few, enough, bad)] == [False, True, False]
    assert not target_reached(enough, LearningConfig())


def test_budget_smaller_than_the_start_is_refused() -> None:
    with pytest.raises(ValueError, match=r"less than start \(50\)"):
        LearningConfig(start=50, max_labels=40)
    config = LearningConfig()
    assert config.start_for(["Cu", "Al"]) < config.max_labels_for(["Cu", "Al"])


def test_the_history_of_a_run_is_found_by_the_names_of_its_calcfunctions() -> None:
    assert all(hasattr(calcfunctions, name) for name in RECORDERS)
