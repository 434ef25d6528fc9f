"""What is done to runs at the moment when it hurts, and what a person would do then to put the cluster right."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil

from ..waiting import wait_for
from .cluster import USER, Cluster
from .conftest import command, login
from .modules.told_emt import EAT, FREE
from .victim import LABEL_JOBS, Victim

Strike = Callable[[Victim], None]

MINUTE = 60.0

TAKE_TASKS = """
from aiida import load_profile
load_profile()
from aiida.manage import get_manager
for task in get_manager().get_broker().iterate_tasks():
    with task.processing() as outcome:
        outcome.set_result(False)
    print(task.body)
"""


def kill_workers(victim: Victim) -> None:
    """Kill all workers of the daemon, which starts others."""
    for worker in victim.range.newcomer.workers():
        worker.send_signal(signal.SIGKILL)


def killed_in(function: str) -> Strike:
    """Kill the workers while one is in a calcfunction."""

    def strike(victim: Victim) -> None:
        def is_running() -> bool:
            return [process["process_state"] for process in victim.processes(function)] == ["running"]

        wait_for(function, is_running, every=0.002)
        kill_workers(victim)
        assert is_running(), "the fault came too late"

    return strike


def killed_while_labelling(victim: Victim) -> None:
    """Kill the workers while the jobs run."""
    victim.held_jobs()
    kill_workers(victim)


def killed_while_fitting(victim: Victim) -> None:
    """Kill the workers while the fit runs."""
    victim.held_fit()
    kill_workers(victim)


def killed_while_submitting(victim: Victim) -> None:
    """Kill the workers while `sbatch` waits for the scheduler, which hears of the job all the same: of the labels, then of
    the fit.
    """
    for job in ("AseLabelCalculation", "ShellJob"):
        wait_for(job, lambda job=job: victim.processes(job), every=0.02)  # type: ignore[misc]
        with _silent_scheduler():
            wait_for("sbatch", lambda: _of_user("sbatch"))
            kill_workers(victim)


def daemon_stopped(victim: Victim) -> None:
    """Stop the daemon, and start it when the jobs are done."""
    victim.held_jobs()
    victim.range.newcomer.aiida.verdi("daemon", "stop")
    victim.release()
    wait_for("end of the jobs", lambda: set(victim.jobs().values()) == {"COMPLETED"})
    victim.range.newcomer.aiida.verdi("daemon", "start", "2")


def tasks_lost(victim: Victim) -> None:
    """Take all tasks out of RabbitMQ, and resume the run."""
    newcomer = victim.range.newcomer
    victim.held_jobs()
    newcomer.aiida.verdi("daemon", "stop")
    assert f"'pid': {victim.pk}," in newcomer.aiida.run("python", "-c", TAKE_TASKS)
    resumed = newcomer.mlip_auto("resume", victim.pk)
    assert "continues: OneShotWorkChain" in resumed and "lost by the daemon, submitted again" in resumed


def restarted(service: str) -> Strike:
    """Stop a service and start it again."""

    def strike(victim: Victim) -> None:
        victim.held_jobs()
        with fault(service):
            pass

    return strike


def out_of_reach(service: str) -> Strike:
    """Stop a service for a minute, while AiiDA tries in vain and the jobs end."""

    def strike(victim: Victim) -> None:
        victim.held_jobs()
        with fault(service):
            over = time.monotonic() + MINUTE
            victim.release()
            wait_for("attempts", lambda: victim.attempts() >= 2 * LABEL_JOBS)
            wait_for("end of the minute", lambda: time.monotonic() >= over)

    return strike


def cancelled(victim: Victim) -> None:
    """Cancel a job."""
    job = victim.held_jobs()[0]
    login(victim.range.newcomer.description, f"scancel {job}")
    _ends(victim, job, "CANCELLED")


def out_of_memory(victim: Victim) -> None:
    """Let a job take more memory than it asked for."""
    victim.held_jobs()
    victim.order(EAT)
    victim.release()


def over_its_walltime(victim: Victim) -> None:
    """Let the walltime of a job be over now."""
    job = victim.held_jobs()[0]
    conf = victim.range.newcomer.description["slurm"]["conf"]
    environment = {**os.environ, "SLURM_CONF": conf}
    subprocess.run(["scontrol", "update", f"JobId={job}", "EndTime=now"], env=environment, check=True)
    _ends(victim, job, "TIMEOUT")


def node_down(victim: Victim) -> None:
    """Take a node away from its job."""
    victim.held_jobs()
    asked = login(victim.range.newcomer.description, "squeue --noheader --nodelist=node2 --format=%i").stdout.split()
    (job,) = asked
    with fault("node"):
        _ends(victim, job, "NODE_FAIL")


def fit_cancelled(victim: Victim) -> None:
    """Cancel the job of the fit."""
    job = victim.held_fit()
    login(victim.range.newcomer.description, f"scancel {job}")
    _ends(victim, job, "CANCELLED")


def disk_full_for_labels(victim: Victim) -> None:
    """Fill the disk while the jobs run, until each has a label that finds no space."""
    victim.held_jobs()
    with fault("disk"):
        victim.release()
        wait_for("labels without space", lambda: len(victim.computed()) == LABEL_JOBS * (FREE + 1))


def disk_full_for_jobs(victim: Victim) -> None:
    """Fill the disk before the jobs come, until AiiDA gives up to send their files; make space, and resume."""
    newcomer = victim.range.newcomer
    with fault("disk"):
        wait_for("paused jobs", lambda: _paused(victim) == LABEL_JOBS)
        shown = newcomer.mlip_auto("status", victim.pk)
        assert ": paused" in shown and "Paused: AseLabelCalculation" in shown and "upload" in shown
        assert f"mlip-auto resume {victim.pk}" in shown
    assert "continues" in newcomer.mlip_auto("resume", victim.pk)


def _ends(victim: Victim, job: str, state: str) -> None:
    wait_for(f"job {job} {state}", lambda: victim.jobs()[job] == state)


def _paused(victim: Victim) -> int:
    return sum(bool(process.get("paused")) for process in victim.processes("AseLabelCalculation"))


def _of_user(name: str) -> list[psutil.Process]:
    processes = psutil.process_iter(["username", "name"])
    return [process for process in processes if process.info == {"username": USER, "name": name}]


@contextmanager
def _silent_scheduler() -> Iterator[None]:
    """Let the scheduler hear what it is told, but not answer until the end."""
    cluster = Cluster()
    pid = cluster.services(cluster.describe())["slurmctld"].pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def fault(name: str) -> Iterator[None]:
    """Have a fault of `tests/cluster/fault` for some time."""
    started = command("fault", name, "start")
    assert started.returncode == 0, started.stderr
    try:
        yield
    finally:
        stopped = command("fault", name, "stop")
        assert stopped.returncode == 0, stopped.stderr
