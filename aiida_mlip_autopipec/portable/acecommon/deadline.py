"""The moment at which a job must be over."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from .errors import ExplainedError

MARGIN = 30.0
"""Seconds before the end of the walltime at which a program stops by itself, at least; more of a long one."""


@dataclass(frozen=True)
class Deadline:
    """The moment (of `time.monotonic`) at which the job must be over."""

    at: float = math.inf

    @classmethod
    def of(cls, start: float, walltime: float | None) -> Deadline:
        """Return the deadline of a job that started at a moment and has a walltime (s)."""
        return cls() if walltime is None else cls(start + walltime - max(min(MARGIN, walltime / 2), walltime / 50))

    @property
    def has_come(self) -> bool:
        """Tell whether it is over."""
        return time.monotonic() > self.at

    def check(self, what: str) -> None:
        """Raise if it has come.

        :raises ExplainedError: of the kind `out_of_time`.
        """
        if self.has_come:
            raise self.error(what)

    @staticmethod
    def error(what: str) -> ExplainedError:
        """Return what is raised when it comes."""
        return ExplainedError("out_of_time", f"the walltime ended during {what}; what was done is kept for a restart")
