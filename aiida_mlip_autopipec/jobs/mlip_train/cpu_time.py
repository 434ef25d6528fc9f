"""Processor time, which unlike wall time does not depend on the other load of the machine."""

from __future__ import annotations

import os


def cpu_seconds() -> float:
    """Return the processor time (s) of this process and its finished child processes."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
