"""No writing to the database if a query of the scheduler finds no change of a job.

In aiida-core 2.9 each query of the scheduler informs the process of each running job, which writes four attributes to the
database, each in a transaction of its own. With a query every 0.3 s that was 80 % of the processor time of a worker with four
running jobs, and delayed the start of the next ones. The documentation of `request_job_info_update` promises what this module
does: a process is informed when its job next changes state.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from . import are_needed

if TYPE_CHECKING:
    from aiida.engine.processes.calcjobs.manager import JobsList
    from aiida.schedulers.datastructures import JobInfo

INTERVAL = 10.0
"""Seconds after which a process is informed that its job is unchanged: its node holds the time of the last query."""

_installed = False


def install() -> None:
    """Let a process be informed only of a change of its job, or after an interval."""
    global _installed
    if _installed or not are_needed():
        return
    from aiida.engine.processes.calcjobs.manager import JobsList

    get_jobs = JobsList._get_jobs_from_scheduler

    async def get_changed_jobs(self: JobsList) -> dict[str, JobInfo]:
        jobs: dict[str, JobInfo] = await get_jobs(self)
        # The caller informs the processes of these jobs; the requests of the others stay open until the next query.
        self._polling_jobs = frozenset(job for job in self._polling_jobs if _is_new(self, job, jobs.get(job)))
        return jobs

    JobsList._get_jobs_from_scheduler = get_changed_jobs
    _installed = True


def _is_new(jobs_list: JobsList, job: str, info: JobInfo | None) -> bool:
    """Tell whether the process of a job must be informed now; store the job info that it gets, and the time."""
    sent: dict[str, tuple[JobInfo, float]] = jobs_list.__dict__.setdefault("_mlip_sent", {})
    if info is None or jobs_list._job_update_requests[job].done():
        sent.pop(job, None)
        return True
    before, at = sent.get(job, (None, 0.0))
    if not jobs_list._has_job_state_changed(before, info) and time.monotonic() - at < INTERVAL:
        return False
    sent[job] = (info, time.monotonic())
    return True
