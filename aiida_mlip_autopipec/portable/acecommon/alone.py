"""One job at a time in a folder."""

from __future__ import annotations

import contextlib
import fcntl
import time
from collections.abc import Iterator
from pathlib import Path

from .errors import ExplainedError, log

LOCK = Path("lock")
LOOK_SECONDS = 1.0
"""Time between two looks whether the other one is done."""


@contextlib.contextmanager
def alone(until: float) -> Iterator[bool]:
    """Wait while another copy of this job works in the folder; yield whether there was one.

    AiiDA submits a job again if it was killed before it had heard of the first submission.

    :param until: the moment (of `time.monotonic`) at which the job must be over.
    :raises ExplainedError: of the kind `out_of_time`.
    """
    waited = False
    with LOCK.open("w") as lock:
        try:
            # Not flock, which worker processes would go on holding.
            while not waited or time.monotonic() < until:
                try:
                    fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except (BlockingIOError, PermissionError):
                    if not waited:
                        log("another copy of this job works here: waiting for its end")
                    waited = True
                    time.sleep(LOOK_SECONDS)
            else:
                raise ExplainedError("out_of_time", "another copy of this job worked in its folder all the time")
        except OSError as error:
            log(f"the work folder has no locks ({error}): no other copy of this job can be waited for")
        yield waited
