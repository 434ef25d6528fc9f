"""The frame of a program: alone in its folder, and its failures told in a file."""

from __future__ import annotations

import json
import math
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from .alone import alone
from .errors import FAILURES, ExplainedError, log

FAILURE = Path("failure.json")


def run_program(work: Callable[[], None], result: str, walltime: float | None = None) -> int:
    """Do the work of a program and return its exit status; a failure is told in `failure.json` too.

    Started twice in a folder, the second waits for the first, and has nothing to do if that one was done.

    :param result: name of the file that is there, when the work is done.
    :param walltime: seconds after which the job will be killed.
    """
    try:
        with alone(math.inf if walltime is None else time.monotonic() + walltime) as waited:
            if waited and Path(result).exists() and not FAILURE.exists():
                return 0
            FAILURE.unlink(missing_ok=True)
            work()
            return 0
    except ExplainedError as error:
        kind, message = error.kind, str(error)
    except Exception as error:
        traceback.print_exc(file=sys.stdout)
        kind, message = "unexpected", f"{type(error).__name__}: {error}"
    log(f"failed ({kind}): {message}")
    FAILURE.write_text(json.dumps({"kind": kind, "message": message}))
    return FAILURES[kind]
