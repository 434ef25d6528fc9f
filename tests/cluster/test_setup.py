"""A whole run with profile, computer and codes from `mlip-auto setup`, which disclose no secrets."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from ..waiting import PATIENCE
from .cluster import Cluster
from .conftest import command, login
from .new_user import HPC, NewUser, set_up

STEPS = ("settings", "database", "broker", "daemon", "keys", "login", "login output", "work folder", "scheduler")
JOBS = ("Python of the oracle", "Python of the trainer", "label of a structure", "tiny fit")


@pytest.fixture(scope="module")
def new_user(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NewUser]:
    new_user = set_up(cluster.describe(), tmp_path_factory.mktemp("new_user"))
    yield new_user
    new_user.aiida.verdi("daemon", "stop")


def run_of_copper(**oracle: Any) -> dict[str, Any]:
    return {
        "elements": ["Cu"],
        "generator": {"count": 20, "max_atoms": 8},
        "selection": "none",
        "oracle": {"structures_per_job": 6, **oracle},
        "training": {"n_functions": 12, "cutoff": 4.5, "order": 3, "test_fraction": 0.2},
        "resources": {
            "oracle": {"computer": HPC, "cores": 1, "walltime": 300, "memory_mb": 800},
            "trainer": {"computer": HPC, "cores": 2, "walltime": 600, "memory_mb": 1500},
        },
    }


def test_existing_profile_and_computer_are_not_changed(new_user: NewUser) -> None:
    for name in ("profile", "computer"):
        again = new_user.aiida.attempt("mlip-auto", "setup", name, str(new_user.home / f"{name}.yaml"))
        assert again.returncode != 0 and "it is not changed" in again.stdout


def test_check_says_how_to_accept_a_host_key_and_then_passes(new_user: NewUser) -> None:
    (new_user.home / ".ssh/known_hosts").unlink(missing_ok=True)
    unknown = new_user.aiida.attempt("mlip-auto", "setup", "check", HPC)
    assert unknown.returncode != 0
    assert "✗ login" in unknown.stdout and f"run `ssh {HPC}` once" in unknown.stdout
    new_user.accept_host_key()
    lines = new_user.mlip_auto("setup", "check", HPC).splitlines()
    assert [line[2:23].strip() for line in lines] == [*STEPS, *JOBS]
    assert {line[0] for line in lines} == {"✓"}


def test_check_reports_a_missing_trainer(new_user: NewUser) -> None:
    new_user.accept_host_key()
    config = run_of_copper()
    config["resources"]["trainer"]["prepend_text"] = "export PATH=/usr/bin:/bin"
    without_trainer = new_user.aiida.attempt(
        "mlip-auto", "setup", "check", "--config", new_user.write("without_trainer.yaml", config)
    )
    assert without_trainer.returncode != 0
    assert "✗ Python of the trainer" in without_trainer.stdout and "pip install 'python-ace" in without_trainer.stdout
    assert "✓ Python of the oracle" in without_trainer.stdout


@pytest.mark.parametrize(
    ("fault", "line", "remedy"),
    [
        ("ssh", "✗ login", f"check that `ssh {HPC}` works"),
        ("slurmctld", "✗ scheduler", "core.slurm"),
        ("rabbitmq", "✗ broker", "start RabbitMQ"),
        ("postgres", "✗ database", "start its server"),
    ],
)
def test_check_names_the_service_that_is_down(new_user: NewUser, fault: str, line: str, remedy: str) -> None:
    new_user.accept_host_key()
    assert command("fault", fault, "start").returncode == 0
    try:
        checked = new_user.aiida.attempt("mlip-auto", "setup", "check", HPC, "--no-jobs")
    finally:
        assert command("fault", fault, "stop").returncode == 0
        if fault == "postgres":
            # A daemon that lost its connections drops the first task that it receives, and takes long to end.
            new_user.aiida.verdi("daemon", "restart")
    assert checked.returncode != 0
    assert line in checked.stdout and remedy in checked.stdout
    assert "Traceback" not in checked.stdout


def test_submitted_run_shows_its_progress_and_finishes(new_user: NewUser) -> None:
    new_user.accept_host_key()
    # One job, long enough to be seen on a busy machine.
    oracle = {"calculator": "slow_emt.SlowEMT", "parameters": {"seconds": 3.0}, "structures_per_job": 20}
    run = new_user.submit(run_of_copper(**oracle))
    shown = new_user.status_once(run, lambda shown: "structures done in running jobs" in shown)
    assert "of 20 labelled; jobs: " in shown and " running" in shown
    watched = new_user.mlip_auto("status", run, "--watch")
    assert "20 of 20 labelled" in watched and "✓ fit" in watched
    assert "done" in new_user.mlip_auto("status")
    assert "potential.yace" in new_user.mlip_auto("watch", run, "--output", str(new_user.home / "out"))

    output = login(
        new_user.description, "sacct --noheader --parsable2 --allocations --format=Partition,Timelimit,ReqMem,State"
    )
    jobs = set(output.stdout.splitlines())
    assert {"main|00:05:00|800M|COMPLETED", "main|00:10:00|1500M|COMPLETED"} <= jobs


@pytest.mark.slow
def test_a_potential_is_validated_on_the_cluster(new_user: NewUser) -> None:
    new_user.accept_host_key()
    quick = {"level": "quick", "dynamics": {"nvt_steps": 40, "nve_steps": 60, "max_atoms": 16}}
    run = new_user.submit({**run_of_copper(), "validation": quick}, "--validate")
    watched = new_user.aiida.attempt("mlip-auto", "status", run, "--watch")
    # A potential of 12 functions fails the validation.
    assert watched.returncode == 3, watched.stdout
    assert "✓ validation" in watched.stdout and "✗ Cu fcc" in watched.stdout
    assert "validate_potential" in new_user.aiida.verdi("process", "status", run)


@pytest.mark.slow
def test_resume_continues_a_paused_run(new_user: NewUser) -> None:
    new_user.accept_host_key()
    run = new_user.submit(run_of_copper(calculator="slow_emt.SlowEMT", reuse=False))
    new_user.aiida.verdi("process", "pause", "--timeout", "30", run)
    shown = new_user.status_once(run, lambda shown: ": paused" in shown)
    assert f"mlip-auto resume {run}" in shown
    assert "continues" in new_user.mlip_auto("resume", run)
    running = new_user.aiida.attempt("mlip-auto", "resume", run)
    assert running.returncode != 0 and "is running" in running.stdout
    assert "✓ fit" in new_user.mlip_auto("status", run, "--watch")
    done = new_user.aiida.attempt("mlip-auto", "resume", run)
    assert done.returncode != 0 and "has finished successfully" in done.stdout


@pytest.mark.slow
def test_resume_continues_jobs_that_a_lost_connection_paused(new_user: NewUser) -> None:
    new_user.accept_host_key()
    options = {"transport.task_retry_initial_interval": "1", "transport.task_maximum_attempts": "2"}
    for option, value in options.items():
        new_user.aiida.verdi("config", "set", option, value)
    new_user.aiida.verdi("daemon", "restart")
    run = new_user.submit(run_of_copper(calculator="slow_emt.SlowEMT", reuse=False))
    new_user.status_once(run, lambda shown: " running" in shown.splitlines()[2])
    assert command("fault", "ssh", "start").returncode == 0
    try:
        shown = new_user.status_once(run, lambda shown: "Paused: AseLabelCalculation" in shown)
    finally:
        assert command("fault", "ssh", "stop").returncode == 0
        for option in options:
            new_user.aiida.verdi("config", "unset", option)
    assert ": paused" in shown and f"mlip-auto resume {run}" in shown
    # Other jobs may be paused later.
    deadline = time.monotonic() + PATIENCE
    while new_user.aiida.attempt("mlip-auto", "status", run).stdout.count("✓") < 4:
        assert time.monotonic() < deadline, new_user.mlip_auto("status", run)
        new_user.aiida.attempt("mlip-auto", "resume", run)
        time.sleep(2)
    assert "20 of 20 labelled" in new_user.mlip_auto("status", run)


@pytest.mark.slow
def test_killed_run_leaves_no_job_and_resumes_with_its_labels(new_user: NewUser) -> None:
    new_user.accept_host_key()
    # Parameters that no other run has, so that no labels are reused.
    config = run_of_copper(calculator="slow_emt.SlowEMT", parameters={"asap_cutoff": True}, max_concurrent_jobs=1)
    run = new_user.submit(config)
    new_user.status_once(run, lambda shown: re.search(r"1 running, [1-9]\d* done", shown))
    assert "are killed" in new_user.mlip_auto("kill", run)
    assert new_user.jobs_in_the_queue() == []
    killed = new_user.mlip_auto("status", run)
    assert ": killed" in killed and f"mlip-auto resume {run}" in killed

    resumed = re.search(r"^Run (\d+) submitted, with the inputs of", new_user.mlip_auto("resume", run), re.M)
    assert resumed
    watched = new_user.mlip_auto("status", resumed[1], "--watch")
    known = re.search(r"20 of 20 labelled, (\d+) reused", watched)
    assert known and int(known[1]) >= 6
    assert "✓ fit" in watched


def test_passwords_and_keys_are_not_disclosed(new_user: NewUser) -> None:
    new_user.accept_host_key()
    description = new_user.description
    password = description["postgres"]["password"]
    key = Path(description["ssh"]["key"]).read_text().splitlines()[1]
    profile = yaml.safe_load((new_user.home / "profile.yaml").read_text())
    postgres = profile["postgres"]

    run = new_user.submit(run_of_copper(reuse=False))
    seen: set[str] = set()
    while "running" in new_user.mlip_auto("status", run).splitlines()[0]:
        for process in psutil.process_iter(["cmdline"]):
            seen.update(process.info["cmdline"] or [])
    assert not [word for word in seen if password in word or key in word]

    address = [f"--host={postgres['host']}", f"--port={postgres['port']}", f"--username={postgres['user']}"]
    dump = subprocess.run(
        ["pg_dump", *address, postgres["database"]],
        env={**new_user.aiida.environment, "PGPASSWORD": password},
        capture_output=True,
        text=True,
        check=True,
    )
    assert HPC in dump.stdout
    assert password not in dump.stdout and key not in dump.stdout

    own = {new_user.home / "profile.yaml", *(new_user.home / ".aiida").glob("config.json*")}
    exposed = [
        path
        for path in new_user.home.rglob("*")
        if path.is_file()
        and path not in own
        and (password.encode() in (content := path.read_bytes()) or key.encode() in content)
    ]
    assert exposed == []
    assert {path.stat().st_mode & 0o077 for path in own} == {0}
