"""Lock of a working folder: one job at a time runs in it."""

from __future__ import annotations

import contextlib
import fcntl
import time
from collections.abc import Iterator
from pathlib import Path

from .errors import ProgramError, log

LOCK = Path("lock")
POLL_SECONDS = 1.0
"""Seconds between two attempts to take the lock."""


@contextlib.contextmanager
def folder_lock(until: float) -> Iterator[bool]:
    """Wait while another copy of this job runs in the folder; yield whether there was one.

    AiiDA submits a job twice if its daemon is killed before it has recorded the first submission.

    :param until: time (of `time.monotonic`) at which the job must have stopped.
    :raises ProgramError: of the kind `out_of_time`, if the other copy is still running then.
    """
    waited = False
    with LOCK.open("w") as lock:
        try:
            # Not flock: worker processes would inherit and keep that lock.
            while not waited or time.monotonic() < until:
                try:
                    fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except (BlockingIOError, PermissionError):
                    if not waited:
                        log("another copy of this job runs in this folder: waiting until it stops")
                    waited = True
                    time.sleep(POLL_SECONDS)
            else:
                raise ProgramError("out_of_time", "another copy of this job ran in its folder until the walltime ended")
        except OSError as error:
            log(
                f"the working folder does not support locks ({error}): cannot check whether another copy of this job runs"
            )
        yield waited
