"""Faults that are injected into running runs, and what a user would then do to repair the cluster."""

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
from .modules.controlled_emt import EXHAUST_MEMORY, N_BEFORE_CONTROL
from .submitted_run import LABEL_JOBS, SubmittedRun

Injection = Callable[[SubmittedRun], None]

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


def kill_workers(run: SubmittedRun) -> None:
    """Kill all workers of the daemon, which starts others."""
    for worker in run.submitter.new_user.workers():
        worker.send_signal(signal.SIGKILL)


def killed_in(function: str) -> Injection:
    """Kill the workers while one is in a calcfunction."""

    def inject(run: SubmittedRun) -> None:
        def is_running() -> bool:
            return [process["process_state"] for process in run.processes(function)] == ["running"]

        wait_for(function, is_running, every=0.002)
        kill_workers(run)
        assert is_running(), "the calcfunction ended before the workers were killed"

    return inject


def killed_while_labelling(run: SubmittedRun) -> None:
    """Kill the workers while the jobs run."""
    run.held_jobs()
    kill_workers(run)


def killed_while_fitting(run: SubmittedRun) -> None:
    """Kill the workers while the fit runs."""
    run.held_fit()
    kill_workers(run)


def killed_while_submitting(run: SubmittedRun) -> None:
    """Kill the workers while `sbatch` waits for the answer of the scheduler, which receives the job all the same: first a job
    of labels, then that of the fit.
    """
    for job in ("AseLabelCalculation", "ShellJob"):
        wait_for(job, lambda job=job: run.processes(job), every=0.02)  # type: ignore[misc]
        with _silent_scheduler():
            wait_for("sbatch", lambda: _of_user("sbatch"))
            kill_workers(run)


def daemon_stopped(run: SubmittedRun) -> None:
    """Stop the daemon, and start it when the jobs are done."""
    run.held_jobs()
    run.submitter.new_user.aiida.verdi("daemon", "stop")
    run.release()
    wait_for("end of the jobs", lambda: set(run.jobs().values()) == {"COMPLETED"})
    run.submitter.new_user.aiida.verdi("daemon", "start", "2")


def tasks_lost(run: SubmittedRun) -> None:
    """Take all tasks out of RabbitMQ, and resume the run."""
    new_user = run.submitter.new_user
    run.held_jobs()
    new_user.aiida.verdi("daemon", "stop")
    assert f"'pid': {run.pk}," in new_user.aiida.run("python", "-c", TAKE_TASKS)
    resumed = new_user.mlip_auto("resume", run.pk)
    assert "continues: OneShotWorkChain" in resumed and "lost by the daemon, submitted again" in resumed


def restarted(service: str) -> Injection:
    """Stop a service and start it again."""

    def inject(run: SubmittedRun) -> None:
        run.held_jobs()
        with fault(service):
            pass

    return inject


def out_of_reach(service: str) -> Injection:
    """Stop a service for a minute, in which the jobs end and AiiDA cannot reach the service."""

    def inject(run: SubmittedRun) -> None:
        run.held_jobs()
        with fault(service):
            end_of_minute = time.monotonic() + MINUTE
            run.release()
            wait_for("attempts", lambda: run.attempts() >= 2 * LABEL_JOBS)
            wait_for("end of the minute", lambda: time.monotonic() >= end_of_minute)

    return inject


def cancelled(run: SubmittedRun) -> None:
    """Cancel a job."""
    job = run.held_jobs()[0]
    login(run.submitter.new_user.description, f"scancel {job}")
    _ends(run, job, "CANCELLED")


def out_of_memory(run: SubmittedRun) -> None:
    """Let a job take more memory than it requested."""
    run.held_jobs()
    run.set_control(EXHAUST_MEMORY)
    run.release()


def over_its_walltime(run: SubmittedRun) -> None:
    """End the walltime of a job now."""
    job = run.held_jobs()[0]
    conf = run.submitter.new_user.description["slurm"]["conf"]
    environment = {**os.environ, "SLURM_CONF": conf}
    subprocess.run(["scontrol", "update", f"JobId={job}", "EndTime=now"], env=environment, check=True)
    _ends(run, job, "TIMEOUT")


def node_down(run: SubmittedRun) -> None:
    """Stop the node on which a job runs."""
    run.held_jobs()
    jobs = login(run.submitter.new_user.description, "squeue --noheader --nodelist=node2 --format=%i").stdout.split()
    (job,) = jobs
    with fault("node"):
        _ends(run, job, "NODE_FAIL")


def fit_cancelled(run: SubmittedRun) -> None:
    """Cancel the job of the fit."""
    job = run.held_fit()
    login(run.submitter.new_user.description, f"scancel {job}")
    _ends(run, job, "CANCELLED")


def disk_full_for_labels(run: SubmittedRun) -> None:
    """Fill the disk while the jobs run, until each job has a label that it cannot write."""
    run.held_jobs()
    with fault("disk"):
        run.release()
        wait_for("labels without space", lambda: len(run.computed()) == LABEL_JOBS * (N_BEFORE_CONTROL + 1))


def disk_full_for_jobs(run: SubmittedRun) -> None:
    """Fill the disk before the jobs are uploaded, until AiiDA has paused them; make space, and resume the run."""
    new_user = run.submitter.new_user
    with fault("disk"):
        wait_for("paused jobs", lambda: _paused(run) == LABEL_JOBS)
        shown = new_user.mlip_auto("status", run.pk)
        assert ": paused" in shown and "Paused: AseLabelCalculation" in shown and "upload" in shown
        assert f"mlip-auto resume {run.pk}" in shown
    assert "continues" in new_user.mlip_auto("resume", run.pk)


def _ends(run: SubmittedRun, job: str, state: str) -> None:
    wait_for(f"job {job} {state}", lambda: run.jobs()[job] == state)


def _paused(run: SubmittedRun) -> int:
    return sum(bool(process.get("paused")) for process in run.processes("AseLabelCalculation"))


def _of_user(name: str) -> list[psutil.Process]:
    processes = psutil.process_iter(["username", "name"])
    return [process for process in processes if process.info == {"username": USER, "name": name}]


@contextmanager
def _silent_scheduler() -> Iterator[None]:
    """Suspend the scheduler: it receives requests but does not answer them until the end."""
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
    """Start a fault of `tests/cluster/fault`, and stop it at the end."""
    started = command("fault", name, "start")
    assert started.returncode == 0, started.stderr
    try:
        yield
    finally:
        stopped = command("fault", name, "stop")
        assert stopped.returncode == 0, stopped.stderr
