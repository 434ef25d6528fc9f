"""Faults on one machine with a profile that needs no services.

Each run ends with the potential of a run without faults, byte by byte; if it stops, the reason is shown and a command continues
it. No label is lost, and none is computed twice.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from contextlib import suppress

import psutil
import pytest

from ..cluster.modules.controlled_emt import HOLD, N_BEFORE_CONTROL
from ..held_run import HOLD_FIT
from ..waiting import wait_for
from .machine import LABEL_JOBS, STRUCTURES, Machine, Run

STAGES: dict[str, tuple[tuple[str, ...], Callable[[Run], None]]] = {
    "generate": ((), lambda run: run.in_function("generate_structures")),
    "label": ((HOLD,), Run.held_labels),
    "curate": ((), lambda run: run.in_function("curate_labels")),
    "fit": ((HOLD_FIT,), Run.held_fit),
}
"""For each stage of a run, the control files that hold it there, and a function that waits until it is there."""


def _kill(processes: list[psutil.Process]) -> None:
    assert processes
    for process in processes:
        with suppress(psutil.Error):
            process.kill()


def _client(machine: Machine, run: Run) -> None:
    os.kill(run.client.pid, signal.SIGKILL)


def _all(machine: Machine, run: Run) -> None:
    _client(machine, run)
    _kill([*machine.daemon(), *machine.jobs()])


KILLS: dict[str, Callable[[Machine, Run], None]] = {
    "client": _client,
    "supervisor": lambda machine, run: _kill(machine.daemon("start-circus")),
    "broker": lambda machine, run: _kill(machine.daemon("broker")),
    "worker": lambda machine, run: _kill(machine.daemon("worker")),
    "supervisor and broker": lambda machine, run: _kill(machine.daemon("start-circus", "broker")),
    "supervisor and worker": lambda machine, run: _kill(machine.daemon("start-circus", "worker")),
    "job": lambda machine, run: _kill(machine.jobs()),
    "all": _all,
}

IN_CI = {("supervisor", "label")}
"""The worst case, which CI runs; the other cases are marked `slow`."""


def cases() -> list[object]:
    """Return which processes are killed in which stage; jobs run only in two of the stages."""
    return [
        pytest.param(killed, stage, marks=() if (killed, stage) in IN_CI else pytest.mark.slow)
        for killed in KILLS
        for stage in STAGES
        if killed != "job" or stage in ("label", "fit")
    ]


@pytest.mark.parametrize(("killed", "stage"), cases())
def test_run_survives_killed_processes(killed: str, stage: str, machine: Machine, undisturbed: bytes) -> None:
    controls, wait_for_stage = STAGES[stage]
    run = machine.run(f"{killed} in {stage}".replace(" ", "_"), *controls)
    assert run.pk
    wait_for_stage(run)
    KILLS[killed](machine, run)
    run.watch_again()
    run.release()
    run.assert_unaffected(undisturbed)
    assert len(machine.daemon("start-circus")) == len(machine.daemon("broker")) == 1


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["before", "after"])
def test_run_survives_a_worker_killed_during_submission(moment: str, machine: Machine, undisturbed: bytes) -> None:
    control = machine.home / f"kill_{moment}_checkpoint"
    control.write_text("LabellingWorkChain")
    run = machine.run(f"killed_{moment}_checkpoint")
    run.assert_unaffected(undisturbed)
    assert not control.exists()
    left = {"before": ["killed", "finished"], "after": ["finished"]}
    assert [one["process_state"] for one in run.processes("LabellingWorkChain")] == left[moment]
    assert "failed" not in machine.mlip_auto("status", run.pk)


def test_run_survives_a_locked_database(machine: Machine, undisturbed: bytes) -> None:
    run = machine.run("locked", HOLD)
    run.held_labels()
    workers = {worker.pid for worker in machine.daemon("worker")}
    log = next(machine.home.glob(".aiida/daemon/log/aiida-*.log"))
    before = log.read_text().count("is locked by another program")
    with machine.locked():
        run.release()
        # More than once: then the timeout of SQLite itself has passed.
        wait_for("a worker that waits", lambda: log.read_text().count("is locked by another program") > before)
        shown = machine.call("mlip-auto", "status", run.pk)
        assert shown.returncode == 0, shown.stderr
        assert "lost" not in shown.stdout.lower()
    run.assert_unaffected(undisturbed)
    assert {worker.pid for worker in machine.daemon("worker")} == workers


def test_stopped_daemon_leaves_no_process(machine: Machine, undisturbed: bytes) -> None:
    ((run,),) = machine.query("SELECT min(id) FROM db_dbnode WHERE node_type LIKE '%WorkChainNode.'")
    _kill(machine.daemon("start-circus"))
    # The command finds the remaining processes of a daemon, and starts another daemon in addition.
    machine.call("verdi", "daemon", "start")
    _kill(machine.daemon("start-circus"))
    assert "has finished successfully" in machine.call("mlip-auto", "resume", str(run)).stderr
    assert len(machine.daemon("start-circus")) == len(machine.daemon("broker")) == 1
    machine.call("verdi", "daemon", "stop")
    wait_for("end of all", lambda: not machine.remains())


@pytest.mark.slow
def test_lost_task_is_submitted_again(machine: Machine, undisturbed: bytes) -> None:
    run = machine.run("lost", HOLD)
    run.held_labels()
    # A worker still answers for the process, as a worker in which a step has failed.
    for task in machine.home.glob(".aiida/broker/*/storage/tasks/*/*.json"):
        if json.loads(task.read_text())["body"]["args"]["pid"] == int(run.pk):
            task.unlink()
    assert f"OneShotWorkChain {run.pk}, lost by the daemon, submitted again" in machine.mlip_auto("resume", run.pk)
    assert "none of its processes is paused or lost" in machine.call("mlip-auto", "resume", run.pk).stderr
    run.release()
    run.assert_unaffected(undisturbed)


@pytest.mark.slow
def test_run_finishes_if_its_results_cannot_be_written(machine: Machine, undisturbed: bytes) -> None:
    run = machine.run("read-only", HOLD_FIT)
    run.held_fit()
    output = run.folder / "watched"
    output.rmdir()
    # A folder cannot be created where a file exists; root may write to every folder.
    output.touch()
    run.release()
    assert run.client.wait() != 0
    printed = (run.folder / "output").read_text()
    assert f"cannot be written to {output}" in printed and "Traceback" not in printed
    run.assert_unaffected(undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("number", [2, 5])
def test_simultaneous_runs_do_not_disturb_each_other(number: int, machine: Machine, undisturbed: bytes) -> None:
    runs = [machine.run(f"{number}_at_once_{index}") for index in range(number)]
    for run in runs:
        assert run.client.wait() == 0, (run.folder / "output").read_text()
        assert run.potential() == undisturbed
        assert sorted(run.computed().values()) == [1] * STRUCTURES


@pytest.mark.slow
def test_run_survives_a_full_disk(small_machine: Machine, undisturbed: bytes) -> None:
    run = small_machine.run("full", HOLD)
    run.held_labels()
    with small_machine.full_disk():
        run.release()
        wait_for("labels without space", lambda: len(run.computed()) == (N_BEFORE_CONTROL + 1) * LABEL_JOBS)
        # A new run is not started either.
        begun = small_machine.run("begun while it is full")
        assert begun.client.wait() != 0
        printed = (begun.folder / "output").read_text()
        assert "disk" in printed and "Traceback" not in printed
    run.assert_unaffected(undisturbed)
