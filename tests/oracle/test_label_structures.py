"""The program `label_structures` as a real process: correct labels, and all ways in which a calculator can fail."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
from ase import Atoms

from ..conftest import WALLTIMES
from ..waiting import PATIENCE, wait_for
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
def test_a_failed_label_does_not_stop_the_others(
    label: Label, copper: list[Atoms], fault: str, kind: str, reason: str
) -> None:
    labelling = label(copper, FAULTY, parameters={"faults": {"2": fault}})
    assert labelling.status == 0
    assert sorted(labelling.labels) == [0, 2, 3, 4, 5]
    assert labelling.failures[1]["kind"] == kind
    assert reason in labelling.failures[1]["reason"]


def test_a_calculator_that_hangs_in_native_code_is_killed(label: Label, copper: list[Atoms]) -> None:
    labelling = label(copper, FAULTY, "--seconds-per-structure", "5", parameters={"faults": {"2": "hang"}})
    assert sorted(labelling.labels) == [0, 2, 3, 4, 5]
    assert labelling.failures[1]["kind"] == "timeout"


def test_a_missing_property_is_a_failed_label(label: Label, copper: list[Atoms]) -> None:
    labelling = label(copper[:2], "tests.oracle.faulty:NoForces")
    assert not labelling.labels
    assert {failure["kind"] for failure in labelling.failures.values()} == {"missing_property"}


@pytest.mark.parametrize(
    ("calculator", "parameters", "reason"),
    [("nowhere.to_be:found", {}, "nowhere"), ("emt", {"no_such_parameter": 1, "label": []}, "")],
)
def test_an_unusable_calculator_stops_the_job(
    label: Label, copper: list[Atoms], calculator: str, parameters: dict, reason: str
) -> None:
    labelling = label(copper, calculator, parameters=parameters)
    assert labelling.status == 3
    assert reason in labelling.summary["calculator_unavailable"]
    assert not labelling.labels
    assert not labelling.failures


def test_unlabelled_structures_at_the_walltime_are_left_for_another_job(label: Label, copper: list[Atoms]) -> None:
    structures = [copper[0], *dimers(copper[1], 3)]
    for walltime in WALLTIMES:
        labelling = label(structures, FAULTY, "--walltime", str(walltime), parameters={"faults": {"2": "hang"}})
        assert labelling.status == 4
        assert labelling.summary["out_of_time"]
        assert not labelling.failures
        if labelling.labels:
            break
    assert sorted(labelling.labels) == [0]


def test_a_killed_job_continues_when_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, copper: list[Atoms]
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    structures = dimers(copper[1], 4)
    command = label_command(tmp_path, structures, FAULTY, {"faults": {"2": "slow"}})
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL)
    wait_for("the first label", lambda: read_labelling(tmp_path, 0).labels)
    (worker,) = psutil.Process(process.pid).children()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    worker.wait(timeout=PATIENCE)  # it does not survive its parent
    killed = read_labelling(tmp_path, process.returncode)
    assert 1 <= len(killed.labels) < 4
    assert not killed.summary

    again = subprocess.run(command, cwd=tmp_path, timeout=PATIENCE, stdout=subprocess.DEVNULL)
    finished = read_labelling(tmp_path, again.returncode)
    assert sorted(finished.labels) == [0, 1, 2, 3]
    assert finished.summary["labelled"] == 4


def test_a_job_killed_while_it_created_the_file_of_labels_starts_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, copper: list[Atoms]
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    command = label_command(tmp_path, dimers(copper[1], 2), FAULTY, {"faults": {}})
    (tmp_path / "labels.traj").touch()
    done = subprocess.run(command, cwd=tmp_path, timeout=PATIENCE, stdout=subprocess.DEVNULL)
    assert sorted(read_labelling(tmp_path, done.returncode).labels) == [0, 1]


def test_two_copies_in_a_folder_compute_each_structure_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, copper: list[Atoms]
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    command = label_command(tmp_path, dimers(copper[1], 3), FAULTY, {"faults": {"2": "slow"}})
    processes = [subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    logs = [process.communicate(timeout=PATIENCE)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sorted(log.count(": labelled") for log in logs) == [0, 3]
    assert sorted(read_labelling(tmp_path, 0).labels) == [0, 1, 2]


def test_the_folder_of_a_structure_is_kept_only_if_its_label_failed(
    label: Label, copper: list[Atoms], tmp_path: Path
) -> None:
    labelling = label(copper[:3], "tests.oracle.faulty:WritingEMT", parameters={"text": {"2": "SCF run NOT converged"}})
    assert sorted(labelling.labels) == [0, 2]
    assert labelling.failures[1]["kind"] == "not_converged"
    assert "(out.txt: SCF run NOT converged)" in labelling.failures[1]["reason"]
    assert [path.name for path in (tmp_path / "scratch").iterdir()] == ["000001"]
