"""Runs of the daemon: submitted, displayed, paused, lost, killed, resumed, validated."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiida.cmdline.commands.cmd_verdi import verdi
from aiida.engine.daemon.client import get_daemon_client
from aiida.manage.configuration import Profile
from ase.build import bulk
from ase.io import read, write
from click.testing import CliRunner

from aiida_mlip_autopipec.host.daemon import broker_folder

from ..conftest import Command, leave_broker
from ..waiting import PATIENCE, wait_for

SMALL: dict[str, Any] = {
    "elements": ["Cu"],
    "generator": {"count": 20, "max_atoms": 4},
    "selection": "none",
    # A method that no other run uses, so that no labels are reused.
    "oracle": {"structures_per_job": 10, "max_concurrent_jobs": 1, "parameters": {"asap_cutoff": True}},
    "training": {"n_functions": 12, "cutoff": 5.0, "order": 2},
}


QUICK = {"level": "quick", "dynamics": {"nvt_steps": 40, "nve_steps": 60, "max_atoms": 16}}


def submit(mlip_auto: Command, folder: Path, *options: str, **settings: Any) -> str:
    config = folder / "CONFIG.yaml"
    config.write_text(yaml.safe_dump({**SMALL, **settings}))
    return submitted(mlip_auto("submit", config, *options))


def submitted(done: Any) -> str:
    found = re.search(r"^Run (\d+) submitted", done.stdout, re.M)
    assert found, done.stdout + done.stderr
    return found[1]


def test_killed_lost_and_paused_runs_resume_with_their_labels(
    mlip_auto: Command, aiida_profile: Profile, tmp_path: Path
) -> None:
    first, free = tmp_path / "first", tmp_path / "free"
    # Holds all jobs except the first. The script that identifies the calculator runs these lines, too, but is no job.
    text = f"[ ! -e _aiidasubmit.sh ] || mkdir '{first}' 2>/dev/null || while [ ! -e '{free}' ]; do sleep 0.2; done"
    run = submit(mlip_auto, tmp_path, resources={"oracle": {"prepend_text": text}})
    at_work = mlip_auto("resume", run)
    assert at_work.returncode != 0 and "none of its processes is paused or lost" in at_work.stderr
    wait_for("half of the labels", lambda: "10 of 20 labelled" in mlip_auto("status", run).stdout)
    killed = mlip_auto("kill", run)
    assert killed.returncode == 0, killed.stdout + killed.stderr
    after = mlip_auto("status", run)
    assert ": killed" in after.stdout and f"mlip-auto resume {run}" in after.stderr

    resumed = mlip_auto("resume", run)
    assert f", with the inputs of {run}" in resumed.stdout
    again = submitted(resumed)
    wait_for("the labels it had", lambda: "10 of 20 labelled" in mlip_auto("status", again).stdout)
    get_daemon_client().stop_daemon(wait=True, timeout=round(PATIENCE))
    leave_broker()
    tasks = list((broker_folder() / "storage" / "tasks").glob("*/*.json"))
    assert tasks
    for task in tasks:
        task.unlink()
    resumed = mlip_auto("resume", again)
    assert resumed.returncode == 0 and f"OneShotWorkChain {again}" in resumed.stdout, resumed.stdout + resumed.stderr

    def is_paused() -> bool:
        # A worker that has just started does not answer yet.
        done = CliRunner().invoke(verdi, ["-p", aiida_profile.name, "process", "pause", "--timeout", "30", again])
        assert done.exit_code == 0, done.output
        return ": paused" in mlip_auto("status", again).stdout

    wait_for("the pause", is_paused, every=1.0)
    assert f"mlip-auto resume {again}" in mlip_auto("status", again).stdout
    resumed = mlip_auto("resume", again)
    assert resumed.returncode == 0 and "continues" in resumed.stdout

    free.touch()
    watched = mlip_auto("status", again, "--watch")
    assert watched.returncode == 0, watched.stderr
    assert "20 of 20 labelled, 10 reused" in watched.stdout and "✓ fit" in watched.stdout
    for command, said in (("resume", "has finished successfully"), ("kill", "has ended already")):
        refused = mlip_auto(command, again)
        assert refused.returncode != 0 and said in refused.stderr


def test_commands_exit_with_status_3_if_a_potential_fails_its_validation(mlip_auto: Command, tmp_path: Path) -> None:
    run = submit(mlip_auto, tmp_path, "--validate", validation=QUICK)
    watched = mlip_auto("status", run, "--watch")
    assert watched.returncode == 3, watched.stdout + watched.stderr
    assert "✓ validation" in watched.stdout and "✗ Cu fcc" in watched.stdout
    done = mlip_auto("watch", run, "--output", "out")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "checks passed." in done.stdout and "✗ Cu fcc" in done.stdout
    verdict = json.loads((tmp_path / "out" / "validation.json").read_text())
    assert verdict["passed"] is False
    potential = done.stdout.split("Potential: node ")[1].split()[0]

    write(tmp_path / "hcp.cif", bulk("Cu", "hcp", a=2.54))
    phase = mlip_auto("validate", potential, "--structures", "hcp.cif", "--output", "phase")
    assert phase.returncode == 3, phase.stdout + phase.stderr
    found = json.loads((tmp_path / "phase" / "validation.json").read_text())
    assert {check["structure"] for check in found["checks"]} == {"Cu"}

    again = mlip_auto("validate", potential, "--level", "quick", "--output", "verdict")
    assert again.returncode == 3, again.stdout + again.stderr
    assert " reused" in again.stdout
    frames = read(tmp_path / "verdict" / "predicted.extxyz", ":")
    assert len(frames) == len(read(tmp_path / "verdict" / "labelled.extxyz", ":"))

    limits = dict.fromkeys(("elastic_constant", "extrapolation_grade"), 1000.0)
    # Far from the minimum of this potential, the oracle may have none.
    parts = ["elastic", "dynamics"]
    generous = {"oracle": SMALL["oracle"], "validation": {**QUICK, "limits": limits, "parts": parts}}
    (tmp_path / "generous.yaml").write_text(yaml.safe_dump(generous))
    (tmp_path / "out" / "potential.yace").rename(tmp_path / "mine.yace")
    passed = mlip_auto("validate", "mine.yace", "--config", "generous.yaml")
    assert passed.returncode == 0, passed.stdout + passed.stderr
    assert "All " in passed.stdout
    run = passed.stdout.split("Run ")[1].split()[0]
    assert "checks passed" in mlip_auto("status", run).stdout

    unknown = mlip_auto("validate", "mine.yace")
    assert unknown.returncode == 1 and "its oracle is not known" in unknown.stderr


def test_failed_run_prints_the_reason_and_exits_with_an_error(mlip_auto: Command, tmp_path: Path) -> None:
    config = tmp_path / "CONFIG.yaml"
    config.write_text(yaml.safe_dump({**SMALL, "training": {"n_functions": 5000}}))
    done = mlip_auto("run", config, "--output", "out")
    assert done.returncode == 1
    assert "5000 functions per element, but the training structures have only" in done.stderr
    assert "verdi process report" in done.stderr
    assert not (tmp_path / "out" / "potential.yace").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["submit"], "name a CONFIG.yaml, an --element or --structures"),
        (["status", "--watch"], "needs the PK of a run"),
        (["resume", "999999"], "does not identify a node"),
        (["kill", "999999"], "does not identify a node"),
        (["validate", "missing.yace"], "cannot be read"),
        (["validate", "text.yace"], "names no elements"),
        (["validate", "987654"], "does not identify a node"),
    ],
)
def test_wrong_arguments_give_a_message(mlip_auto: Command, tmp_path: Path, arguments: list[str], message: str) -> None:
    (tmp_path / "text.yace").write_text("no potential")
    wrong = mlip_auto(*arguments)
    assert wrong.returncode in (1, 2) and message in wrong.stderr and "Traceback" not in wrong.stderr
