"""The portable script as a real process: right labels, and every way a calculator can fail."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
from ase import Atoms

from .conftest import FAULTY, ROOT, Labelling, dimers, label_command, read_labelling

Label = Callable[..., Labelling]


def test_labels_are_those_of_the_calculator(label: Label, copper: list[Atoms], labelled_copper: list[Atoms]) -> None:
    labelling = label(copper)
    assert labelling.status == 0
    assert sorted(labelling.labels) == list(range(len(copper)))
    for index, expected in enumerate(labelled_copper):
        assert labelling.labels[index]["energy"] == expected.get_potential_energy()
        assert np.array_equal(labelling.labels[index]["forces"], expected.get_forces())
        assert ("stress" in labelling.labels[index]) == bool(expected.pbc.all())
    assert labelling.summary["labelled"] == len(copper)


def test_a_calculator_by_import_path_with_parameters(label: Label, copper: list[Atoms]) -> None:
    labelling = label(
        copper[1:2], "ase.calculators.lj:LennardJones", parameters={"sigma": 2.3, "epsilon": 0.5, "rc": 8.0}
    )
    named = label_lj_energy(copper[1])
    assert labelling.labels[0]["energy"] == pytest.approx(named, abs=1e-12)


def label_lj_energy(dimer: Atoms) -> float:
    x = 2.3 / dimer.get_distance(0, 1)
    shift = 4 * 0.5 * ((2.3 / 8.0) ** 12 - (2.3 / 8.0) ** 6)
    return 4 * 0.5 * (x**12 - x**6) - shift


@pytest.mark.parametrize(
    ("fault", "kind", "reason"),
    [
        ("exception", "exception", "SCF did not converge"),
        ("nan", "non_finite", "forces is not finite"),
        ("segfault", "crash", "SIGSEGV"),
        ("exit", "crash", "status 7"),
    ],
)
def test_one_sick_structure_does_not_stop_the_rest(
    label: Label, copper: list[Atoms], fault: str, kind: str, reason: str
) -> None:
    labelling = label(copper, FAULTY, parameters={"faults": {"2": fault}})
    assert labelling.status == 0
    assert sorted(labelling.labels) == [0, 2, 3, 4, 5]
    assert labelling.failures[1]["kind"] == kind
    assert reason in labelling.failures[1]["reason"]


def test_a_calculator_stuck_in_native_code_is_given_up(label: Label, copper: list[Atoms]) -> None:
    labelling = label(copper, FAULTY, "--seconds-per-structure", "1", parameters={"faults": {"2": "hang"}})
    assert sorted(labelling.labels) == [0, 2, 3, 4, 5]
    assert labelling.failures[1]["kind"] == "timeout"


def test_a_missing_property_is_a_reason(label: Label, copper: list[Atoms]) -> None:
    labelling = label(copper[:2], "tests.oracle.faulty:NoForces")
    assert not labelling.labels
    assert {failure["kind"] for failure in labelling.failures.values()} == {"missing_property"}


@pytest.mark.parametrize(
    ("calculator", "parameters", "reason"),
    [("nowhere.to_be:found", {}, "nowhere"), ("emt", {"no_such_parameter": 1, "label": []}, "")],
)
def test_an_unusable_calculator_ends_the_job(
    label: Label, copper: list[Atoms], calculator: str, parameters: dict, reason: str
) -> None:
    labelling = label(copper, calculator, parameters=parameters)
    assert labelling.status == 3
    assert reason in labelling.summary["calculator_unavailable"]
    assert not labelling.labels
    assert not labelling.failures


def test_walltime_leaves_the_rest_for_another_job(label: Label, copper: list[Atoms]) -> None:
    slow = dimers(copper[1], 10)
    labelling = label(slow, FAULTY, "--walltime", "3.5", parameters={"faults": {"2": "slow"}})
    assert labelling.status == 4
    assert labelling.summary["out_of_time"]
    assert 1 <= len(labelling.labels) <= 3
    assert not labelling.failures


def test_killed_in_the_middle_and_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, copper: list[Atoms]
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    structures = dimers(copper[1], 4)
    command = label_command(tmp_path, structures, FAULTY, {"faults": {"2": "slow"}})
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (tmp_path / "labels.traj").exists():
        time.sleep(0.05)
    time.sleep(0.3)
    (worker,) = psutil.Process(process.pid).children()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    worker.wait(timeout=30)  # it does not outlive its supervisor
    killed = read_labelling(tmp_path, process.returncode)
    assert 1 <= len(killed.labels) < 4
    assert not killed.summary

    again = subprocess.run(command, cwd=tmp_path, timeout=60, stdout=subprocess.DEVNULL)
    finished = read_labelling(tmp_path, again.returncode)
    assert sorted(finished.labels) == [0, 1, 2, 3]
    assert finished.summary["labelled"] == 4


def test_started_twice_in_a_folder_nothing_is_computed_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, copper: list[Atoms]
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    command = label_command(tmp_path, dimers(copper[1], 3), FAULTY, {"faults": {"2": "slow"}})
    processes = [subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    logs = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sorted(log.count(": labelled") for log in logs) == [0, 3]
    assert sorted(read_labelling(tmp_path, 0).labels) == [0, 1, 2]
