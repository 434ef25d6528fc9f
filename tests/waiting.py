"""Waiting for what must come: with a limit so generous that only a real fault reaches it, on a busy machine too."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

PATIENCE = 900.0
"""Seconds to wait for what must come."""


def wait_for(what: str, comes: Callable[[], Any], every: float = 0.2) -> Any:
    """Wait until something is true, and return it."""
    deadline = time.monotonic() + PATIENCE
    while not (found := comes()):
        assert time.monotonic() < deadline, f"{what}: not after {PATIENCE:.0f} s"
        time.sleep(every)
    return found
