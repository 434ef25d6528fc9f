"""Run a program with its folder locked, and write its failure to a file."""

from __future__ import annotations

import json
import math
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from .errors import EXIT_STATUSES, ProgramError, log
from .folder_lock import folder_lock

FAILURE = Path("failure.json")


def available_cores() -> int:
    """Return the number of cores that this process may use, 1 where the system does not tell."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


def run_program(work: Callable[[], None], result: str, walltime: float | None = None) -> int:
    """Run a program, write `failure.json` if it fails, and return its exit status.

    If two copies start in one folder, the second waits for the first, and returns immediately if the first succeeded.

    :param result: file that exists once the program has succeeded.
    :param walltime: seconds after which the job will be killed.
    """
    try:
        with folder_lock(math.inf if walltime is None else time.monotonic() + walltime) as waited:
            if waited and Path(result).exists() and not FAILURE.exists():
                return 0
            FAILURE.unlink(missing_ok=True)
            work()
            return 0
    except ProgramError as error:
        kind, message = error.kind, str(error)
    except Exception as error:
        traceback.print_exc(file=sys.stdout)
        kind, message = "unexpected", f"{type(error).__name__}: {error}"
    log(f"failed ({kind}): {message}")
    FAILURE.write_text(json.dumps({"kind": kind, "message": message}))
    return EXIT_STATUSES[kind]
