"""A process is informed of its job when it changes, and not at each query of the scheduler."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator

import pytest
from aiida.engine.processes.calcjobs.manager import JobsList
from aiida.engine.transports import TransportQueue
from aiida.manage import get_manager
from aiida.manage.configuration import Profile
from aiida.orm import AuthInfo, User
from aiida.schedulers import JobState

from aiida_mlip_autopipec.host.computers import ensure_computer
from aiida_mlip_autopipec.host.workarounds import unchanged_jobs


@pytest.fixture
def localhost(aiida_profile: Profile) -> AuthInfo:
    unchanged_jobs.install()
    return ensure_computer("localhost").get_authinfo(User.collection.get_default())


@pytest.fixture
def job() -> Iterator[subprocess.Popen[bytes]]:
    """A process that is a job of the direct scheduler; its process id is the id of the job."""
    process = subprocess.Popen(["sleep", "600"])
    yield process
    process.kill()
    process.wait()


def test_process_is_informed_only_of_changes_of_its_job(localhost: AuthInfo, job: subprocess.Popen[bytes]) -> None:
    loop = get_manager().get_runner().loop
    jobs = JobsList(localhost, TransportQueue(loop))

    async def queried_again() -> None:
        before = jobs.last_updated
        while jobs.last_updated == before:
            await asyncio.sleep(0.05)

    async def follow() -> None:
        with jobs.request_job_info_update(localhost, str(job.pid)) as request:
            first = await request
            assert first.job_state in (JobState.RUNNING, JobState.QUEUED, JobState.UNDETERMINED)
        with jobs.request_job_info_update(localhost, str(job.pid)) as request:
            for _ in range(2):
                await queried_again()
            assert not request.done()
            job.kill()
            job.wait()
            assert await request is None

    loop.run_until_complete(asyncio.wait_for(follow(), 60))


def test_process_is_informed_of_an_unchanged_job_after_an_interval(
    localhost: AuthInfo, job: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unchanged_jobs, "INTERVAL", 0.0)
    loop = get_manager().get_runner().loop
    jobs = JobsList(localhost, TransportQueue(loop))

    async def follow() -> None:
        for _ in range(2):
            with jobs.request_job_info_update(localhost, str(job.pid)) as request:
                assert await request is not None

    loop.run_until_complete(asyncio.wait_for(follow(), 60))
