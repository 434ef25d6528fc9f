"""Failures that are explained to the user."""

from __future__ import annotations

import time

FAILURES = {"bad_input": 10, "potential_unusable": 11, "evaluator_missing": 12, "unexpected": 19}
"""Exit status by the kind of failure."""

INSTALL = "pip install 'python-ace>=0.4.0rc1'"


class ValidationError(Exception):
    """A failure that is explained to the user."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


_START = time.monotonic()


def log(message: str) -> None:
    """Write a line to the log, after the seconds since the start."""
    print(f"{time.monotonic() - _START:7.1f} s  {message}", flush=True)
