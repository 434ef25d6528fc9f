"""Waiting for a condition, with a timeout that is long enough for a busy machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

PATIENCE = 900.0
"""Timeout (s)."""


def wait_for(what: str, condition: Callable[[], Any], every: float = 0.2) -> Any:
    """Wait until a condition is true, and return its value.

    :param what: name of the condition, for the message after the timeout.
    :param every: seconds between two checks.
    """
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what}: not after {PATIENCE:.0f} s"
        time.sleep(every)
    return found
