"""Peak memory of this process and its workers; shared memory counts once."""

from __future__ import annotations

import contextlib
import os
import resource
import threading
from collections.abc import Iterator
from pathlib import Path

INTERVAL = 0.5
"""Seconds between two measurements."""

_peak = 0.0


def peak_memory_mb() -> float:
    """Return the peak memory (MB) measured by :func:`monitored`; without /proc of Linux, of this process alone."""
    return _peak or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@contextlib.contextmanager
def monitored() -> Iterator[None]:
    """Measure the memory at intervals, in a thread."""
    done = threading.Event()

    def measure() -> None:
        global _peak
        while not done.is_set():
            _peak = max(_peak, _memory_of_processes(os.getpid()))
            done.wait(INTERVAL)

    thread = threading.Thread(target=measure, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _memory_of_processes(pid: int) -> float:
    """Return the proportional set size (MB) of a process and its descendants."""
    total = 0.0
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        total = next(float(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
        for task in Path(f"/proc/{pid}/task").iterdir():
            total += sum(_memory_of_processes(int(child)) for child in (task / "children").read_text().split())
    return total
