"""The walltime of a job that labels structures."""

from __future__ import annotations

import math
import time

WALLTIME_MARGIN = 0.05
"""Fraction of the walltime that is reserved to finish cleanly."""


class Clock:
    """The walltime of the job."""

    def __init__(self, walltime: float | None) -> None:
        self.end = math.inf if walltime is None else time.monotonic() + walltime * (1 - WALLTIME_MARGIN)

    def remaining(self) -> float:
        """Return the remaining seconds."""
        return self.end - time.monotonic()

    def limit(self, seconds: float | None) -> float | None:
        """Return the shorter of a time limit and the remaining time (s); None if both are unlimited."""
        shorter = min(self.remaining(), math.inf if seconds is None else seconds)
        return None if math.isinf(shorter) else max(shorter, 0.0)
