"""Runs to be hit by faults: small, held at a chosen moment, and counted to the last structure and job."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from ..held_run import HeldRun, held_config
from ..waiting import wait_for
from .conftest import login
from .modules.told_emt import FREE
from .newcomer import HPC, Newcomer

STRUCTURES, PER_JOB = 12, 4
LABEL_JOBS = STRUCTURES // PER_JOB
SMALL = "small"
"""A computer whose disk can be filled."""


class Range:
    """Where runs are submitted to be hit."""

    def __init__(self, newcomer: Newcomer, database: psycopg.Connection[Any]) -> None:
        """Take a newcomer and its database.

        That is asked directly: a command of AiiDA's takes seconds, and tells nothing while services are down.
        """
        self.newcomer = newcomer
        self._database = database

    @contextmanager
    def standstill(self) -> Iterator[None]:
        """Let the workers of the daemon do nothing, so that nothing of what is submitted is missed."""
        workers = self.newcomer.workers()
        for worker in workers:
            worker.suspend()
        try:
            yield
        finally:
            for worker in workers:
                worker.resume()

    def submit(self, name: str, *orders: str, computer: str = HPC, per_job: int = PER_JOB) -> Victim:
        """Submit a run under orders. Its labels are of a method of its own: nobody else has them."""
        folder = Path(tempfile.mkdtemp(prefix=f"{name.replace(' ', '_')}_", dir=self.newcomer.description["work"]))
        shutil.chown(folder, self.newcomer.description["user"])
        for order in orders:
            (folder / order).touch()
        (newest,) = self.query("SELECT coalesce(max(id), 0) FROM db_dbnode")[0]
        jobs = self.jobs()
        oracle = {"computer": computer, "cores": 1, "walltime": 300, "memory_mb": 600}
        trainer = {"computer": computer, "cores": 1, "walltime": 600, "memory_mb": 1200}
        config = held_config(folder, STRUCTURES, per_job, oracle=oracle, trainer=trainer)
        pk = self.newcomer.submit(config)
        return Victim(self, folder, pk, newest, set(jobs))

    def query(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        return list(self._database.execute(query, values))

    def jobs(self) -> dict[str, str]:
        asked = login(self.newcomer.description, "sacct --noheader --parsable2 --allocations --format=JobID,State")
        jobs = dict(line.split("|") for line in asked.stdout.splitlines())
        return {job: state.split()[0] for job, state in jobs.items()}


@contextmanager
def open_range(newcomer: Newcomer) -> Iterator[Range]:
    """Yield a range; give the newcomer a second computer for it, with a small disk."""
    newcomer.make_computer(SMALL, newcomer.description["small"])
    with newcomer.connect() as database:
        yield Range(newcomer, database)


@dataclass(frozen=True)
class Victim(HeldRun):
    """A run that was submitted, and what is known of it without asking AiiDA."""

    range: Range
    folder: Path
    pk: str
    newest_node_before: int
    jobs_before: set[str]

    def processes(self, label: str) -> list[dict[str, Any]]:
        """Return the attributes of the processes whose label begins so and that were made since the run was submitted."""
        query = """
            SELECT attributes FROM db_dbnode
            WHERE id > %s AND starts_with(attributes->>'process_label', %s) ORDER BY id
        """
        return [row[0] for row in self.range.query(query, self.newest_node_before, label)]

    def state(self) -> str:
        """Return the state of the run, or of the one that began it again."""
        return str(self.processes("OneShotWorkChain")[-1]["process_state"])

    def jobs(self) -> dict[str, str]:
        """Return the scheduler's jobs since the run was submitted, with their states."""
        return {job: state for job, state in self.range.jobs().items() if job not in self.jobs_before}

    def attempts(self) -> int:
        """Return how often AiiDA has tried in vain to reach the cluster since the run was submitted."""
        query = "SELECT count(*) FROM db_dblog WHERE dbnode_id > %s AND levelname = 'ERROR'"
        return int(self.range.query(query, self.newest_node_before)[0][0])

    def held_jobs(self) -> list[str]:
        """Wait until each labelling job has computed what it may and waits; return the jobs."""
        wait_for("jobs that wait", lambda: len(self.computed()) == FREE * LABEL_JOBS)
        return wait_for("jobs that run", lambda: self._running(LABEL_JOBS))

    def held_fit(self) -> str:
        """Wait until the job of the fit runs, and waits; return it."""
        wait_for("the fit", lambda: self.processes("ShellJob"))
        return wait_for("the job of the fit", lambda: self._running(1))[0]

    def _running(self, number: int) -> list[str]:
        running = [job for job, state in self.jobs().items() if state == "RUNNING"]
        return running if len(running) == number else []
