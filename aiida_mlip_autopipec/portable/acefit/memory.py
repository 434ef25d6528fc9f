"""The memory of a fit: of this process and its workers together, what they share counted once."""

from __future__ import annotations

import contextlib
import os
import resource
import threading
from collections.abc import Iterator
from pathlib import Path

SECONDS = 0.5
"""Time between two looks."""

_peak = 0.0


def peak_memory_mb() -> float:
    """Return the largest memory seen by :func:`watched`; without Linux's /proc, that of this process alone."""
    return _peak or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Look at the memory from time to time, in a thread."""
    done = threading.Event()

    def look() -> None:
        global _peak
        while not done.is_set():
            _peak = max(_peak, _of_family(os.getpid()))
            done.wait(SECONDS)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _of_family(pid: int) -> float:
    """Return the proportional set size (MB) of a process and its descendants."""
    total = 0.0
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        total = next(float(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
        for task in Path(f"/proc/{pid}/task").iterdir():
            total += sum(_of_family(int(child)) for child in (task / "children").read_text().split())
    return total
