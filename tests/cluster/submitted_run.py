"""Small runs for the tests of faults: they wait at a chosen moment, and each structure and job is counted."""

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
from .modules.controlled_emt import N_BEFORE_CONTROL
from .new_user import HPC, NewUser

STRUCTURES, PER_JOB = 12, 4
LABEL_JOBS = STRUCTURES // PER_JOB
SMALL = "small"
"""A computer whose disk can be filled."""


class Submitter:
    """Submits runs as a user of the cluster, and reads the database and the scheduler without AiiDA."""

    def __init__(self, new_user: NewUser, database: psycopg.Connection[Any]) -> None:
        """Use the settings of a user, and the database of that user's profile.

        The database is queried directly: a command of AiiDA takes seconds, and fails while services are down.
        """
        self.new_user = new_user
        self._database = database

    @contextmanager
    def suspended_workers(self) -> Iterator[None]:
        """Suspend the workers of the daemon, so that no step of a submitted run is missed."""
        workers = self.new_user.workers()
        for worker in workers:
            worker.suspend()
        try:
            yield
        finally:
            for worker in workers:
                worker.resume()

    def submit(self, name: str, *controls: str, computer: str = HPC, per_job: int = PER_JOB) -> SubmittedRun:
        """Submit a run with control files; its labels are not those of another run."""
        folder = Path(tempfile.mkdtemp(prefix=f"{name.replace(' ', '_')}_", dir=self.new_user.description["work"]))
        shutil.chown(folder, self.new_user.description["user"])
        for control in controls:
            (folder / control).touch()
        (newest,) = self.query("SELECT coalesce(max(id), 0) FROM db_dbnode")[0]
        jobs = self.jobs()
        oracle = {"computer": computer, "cores": 1, "walltime": 300, "memory_mb": 600}
        trainer = {"computer": computer, "cores": 1, "walltime": 600, "memory_mb": 1200}
        config = held_config(folder, STRUCTURES, per_job, oracle=oracle, trainer=trainer)
        pk = self.new_user.submit(config)
        return SubmittedRun(self, folder, pk, newest, set(jobs))

    def query(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        return list(self._database.execute(query, values))

    def jobs(self) -> dict[str, str]:
        output = login(self.new_user.description, "sacct --noheader --parsable2 --allocations --format=JobID,State")
        jobs = dict(line.split("|") for line in output.stdout.splitlines())
        return {job: state.split()[0] for job, state in jobs.items()}


@contextmanager
def open_submitter(new_user: NewUser) -> Iterator[Submitter]:
    """Yield a submitter, after a second computer with a small disk has been set up for the user."""
    new_user.make_computer(SMALL, new_user.description["small"])
    with new_user.connect() as database:
        yield Submitter(new_user, database)


@dataclass(frozen=True)
class SubmittedRun(HeldRun):
    """A submitted run, and its state in the database and the scheduler, read without AiiDA."""

    submitter: Submitter
    folder: Path
    pk: str
    newest_node_before: int
    jobs_before: set[str]

    def processes(self, label: str) -> list[dict[str, Any]]:
        """Return the attributes of the processes whose label begins with a text and that are newer than the submission."""
        query = """
            SELECT attributes FROM db_dbnode
            WHERE id > %s AND starts_with(attributes->>'process_label', %s) ORDER BY id
        """
        return [row[0] for row in self.submitter.query(query, self.newest_node_before, label)]

    def state(self) -> str:
        """Return the state of the run, or of the run that resumed it."""
        return str(self.processes("OneShotWorkChain")[-1]["process_state"])

    def jobs(self) -> dict[str, str]:
        """Return the scheduler's jobs since the run was submitted, with their states."""
        return {job: state for job, state in self.submitter.jobs().items() if job not in self.jobs_before}

    def attempts(self) -> int:
        """Return how often AiiDA failed to reach the cluster since the run was submitted."""
        query = "SELECT count(*) FROM db_dblog WHERE dbnode_id > %s AND levelname = 'ERROR'"
        return int(self.submitter.query(query, self.newest_node_before)[0][0])

    def held_jobs(self) -> list[str]:
        """Wait until all labelling jobs are held after their first structures; return the jobs."""
        wait_for("jobs that wait", lambda: len(self.computed()) == N_BEFORE_CONTROL * LABEL_JOBS)
        return wait_for("jobs that run", lambda: self._running(LABEL_JOBS))

    def held_fit(self) -> str:
        """Wait until the job of the fit is held; return the job."""
        wait_for("the fit", lambda: self.processes("ShellJob"))
        return wait_for("the job of the fit", lambda: self._running(1))[0]

    def _running(self, number: int) -> list[str]:
        running = [job for job, state in self.jobs().items() if state == "RUNNING"]
        return running if len(running) == number else []
