"""The time at which a job must stop itself."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from .errors import ProgramError

MARGIN = 30.0
"""A program stops itself this long (s) before the end of its walltime: at most half of a short walltime, 2 % of a long one."""


@dataclass(frozen=True)
class Deadline:
    """The time (of `time.monotonic`) at which the job must stop."""

    at: float = math.inf

    @classmethod
    def from_walltime(cls, start: float, walltime: float | None) -> Deadline:
        """Return the deadline of a job from its start (of `time.monotonic`) and its walltime (s)."""
        return cls() if walltime is None else cls(start + walltime - max(min(MARGIN, walltime / 2), walltime / 50))

    @property
    def has_passed(self) -> bool:
        """Return whether the deadline has passed."""
        return time.monotonic() > self.at

    def remaining(self) -> float:
        """Return the remaining seconds, negative after the deadline."""
        return self.at - time.monotonic()

    def limit(self, seconds: float | None = None) -> float | None:
        """Return the shorter of a time limit (s) and the remaining time, at least 0; None if both are unlimited."""
        shorter = min(self.remaining(), math.inf if seconds is None else seconds)
        return None if math.isinf(shorter) else max(shorter, 0.0)

    def check(self, step: str) -> None:
        """Raise an error if the deadline has passed.

        :param step: the interrupted step, for the message.
        :raises ProgramError: of the kind `out_of_time`.
        """
        if self.has_passed:
            raise self.error(step)

    @staticmethod
    def error(step: str) -> ProgramError:
        """Return the error of a step that the deadline interrupts."""
        return ProgramError("out_of_time", f"the walltime ended during {step}; finished work is kept for a restart")
