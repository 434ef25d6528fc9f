"""Runs of the daemon: submitted, displayed, killed, resumed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ..conftest import Command
from ..waiting import wait_for

SMALL: dict[str, Any] = {
    "elements": ["Cu"],
    "generator": {"count": 20, "max_atoms": 4},
    "oracle": {"structures_per_job": 10, "max_concurrent_jobs": 1},
    "training": {"n_functions": 12, "cutoff": 5.0, "order": 2},
}


QUICK = {"level": "quick", "dynamics": {"nvt_steps": 40, "nve_steps": 60, "max_atoms": 16}}


def submit(mlip_auto: Command, folder: Path, *options: str, **settings: Any) -> str:
    config = folder / "CONFIG.yaml"
    config.write_text(yaml.safe_dump({**SMALL, **settings}))
    submitted = mlip_auto("submit", config, *options)
    found = re.search(r"^Run (\d+) submitted", submitted.stdout, re.M)
    assert found, submitted.stdout + submitted.stderr
    return found[1]


def test_a_submitted_run_is_watched_to_its_end(mlip_auto: Command, tmp_path: Path) -> None:
    run = submit(mlip_auto, tmp_path)
    watched = mlip_auto("status", run, "--watch")
    assert watched.returncode == 0, watched.stderr
    assert "20 of 20 labelled" in watched.stdout and "✓ fit" in watched.stdout
    for command, said in (("resume", "is done"), ("kill", "has ended already")):
        refused = mlip_auto(command, run)
        assert refused.returncode != 0 and said in refused.stderr


def test_a_potential_that_does_not_pass_is_told_by_the_exit_status(mlip_auto: Command, tmp_path: Path) -> None:
    run = submit(mlip_auto, tmp_path, "--validate", validation=QUICK)
    watched = mlip_auto("status", run, "--watch")
    assert watched.returncode == 3, watched.stdout + watched.stderr
    assert "✓ validation" in watched.stdout and "✗ Cu fcc" in watched.stdout


def test_a_killed_run_begins_again_with_the_labels_it_had(mlip_auto: Command, tmp_path: Path) -> None:
    # A method that no other run uses, so that no labels are reused.
    oracle = {**SMALL["oracle"], "parameters": {"asap_cutoff": True}}
    first, free = tmp_path / "first", tmp_path / "free"
    # Holds every job but the first; what identifies the calculator runs it too, but is no job.
    text = f"[ ! -e _aiidasubmit.sh ] || mkdir '{first}' 2>/dev/null || [ -e '{free}' ] || sleep 600"
    held = {"oracle": {"prepend_text": text}}
    run = submit(mlip_auto, tmp_path, oracle=oracle, resources=held)
    wait_for("half of the labels", lambda: "10 of 20 labelled" in mlip_auto("status", run).stdout, every=1.0)
    killed = mlip_auto("kill", run)
    assert killed.returncode == 0, killed.stdout + killed.stderr
    after = mlip_auto("status", run)
    assert ": killed" in after.stdout and f"mlip-auto resume {run}" in after.stderr

    free.touch()
    resumed = mlip_auto("resume", run)
    again = re.search(r"^Run (\d+) submitted, with the inputs of", resumed.stdout, re.M)
    assert again, resumed.stdout + resumed.stderr
    watched = mlip_auto("status", again[1], "--watch")
    assert watched.returncode == 0 and "20 of 20 labelled, 10 reused" in watched.stdout


def test_a_paused_run_goes_on(mlip_auto: Command, run_program: Command, tmp_path: Path) -> None:
    run = submit(
        mlip_auto,
        tmp_path,
        generator={**SMALL["generator"], "seed": 7},
        resources={"oracle": {"prepend_text": "sleep 3"}},
    )
    assert run_program("verdi", "process", "pause", "--timeout", "30", run).returncode == 0
    wait_for("the pause", lambda: ": paused" in mlip_auto("status", run).stdout)
    assert f"mlip-auto resume {run}" in mlip_auto("status", run).stdout
    resumed = mlip_auto("resume", run)
    assert resumed.returncode == 0 and "continues" in resumed.stdout
    assert mlip_auto("status", run, "--watch").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["submit"], "name a CONFIG.yaml or an --element"),
        (["status", "--watch"], "needs the PK of a run"),
        (["resume", "999999"], "names no single node"),
        (["kill", "999999"], "names no single node"),
    ],
)
def test_wrong_arguments_are_explained(mlip_auto: Command, arguments: list[str], message: str) -> None:
    wrong = mlip_auto(*arguments)
    assert wrong.returncode != 0 and message in wrong.stderr and "Traceback" not in wrong.stderr


def test_a_run_that_the_daemon_lost_is_given_to_it_again(
    mlip_auto: Command, run_program: Command, tmp_path: Path
) -> None:
    run = submit(
        mlip_auto,
        tmp_path,
        generator={**SMALL["generator"], "seed": 11},
        resources={"oracle": {"prepend_text": "sleep 5"}},
    )
    at_work = mlip_auto("resume", run)
    assert at_work.returncode != 0 and "none of its processes is paused or lost" in at_work.stderr
    assert run_program("verdi", "config", "set", "daemon.timeout", "60").returncode == 0
    assert run_program("verdi", "daemon", "stop").returncode == 0
    # A start takes as long as this.
    assert run_program("verdi", "config", "unset", "daemon.timeout").returncode == 0
    home = Path(run_program("python", "-c", "import os; print(os.environ['AIIDA_PATH'])").stdout.strip())
    tasks = list(home.glob(".aiida/broker/*/storage/tasks/*/*.json"))
    assert tasks
    for task in tasks:
        task.unlink()
    resumed = mlip_auto("resume", run)
    assert resumed.returncode == 0 and f"OneShotWorkChain {run}" in resumed.stdout, resumed.stdout + resumed.stderr
    assert mlip_auto("status", run, "--watch").returncode == 0
