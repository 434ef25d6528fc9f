"""Labels of all structures of a job, one after the other."""

from __future__ import annotations

import platform

import ase
import numpy as np
from ase import Atoms

from .clock import Clock
from .records import Records
from .worker import Worker


def label_all(structures: list[Atoms], method: dict, seconds_per_structure: float | None, clock: Clock) -> dict:
    """Label all structures that have no recorded result; return the summary."""
    records = Records(clock)
    worker: Worker | None = None
    unavailable = ""
    out_of_time = False
    try:
        for index, atoms in enumerate(structures):
            if index in records.labelled or index in records.failed:
                continue
            if clock.remaining() <= 0:
                out_of_time = True
                break
            if worker is None:
                worker = Worker(method)
                outcome = worker.started(clock.limit(None))
                if outcome.failure:
                    out_of_time = outcome.failure == "timeout"
                    unavailable = "" if out_of_time else outcome.reason
                    break
            outcome = worker.label(index, atoms, clock.limit(seconds_per_structure))
            if outcome.failure == "timeout" and clock.remaining() <= 0:
                # The walltime ended before the limit of the structure: it is left for the next job.
                out_of_time = True
                break
            records.add(index, atoms, outcome)
            if outcome.failure in ("timeout", "crash"):
                worker.kill()
                worker = None
    finally:
        if worker is not None:
            worker.kill()
    return {
        "asked": len(structures),
        "labelled": len(records.labelled),
        "failed": len(records.failed),
        "out_of_time": out_of_time,
        "calculator_unavailable": unavailable,
        "versions": {"python": platform.python_version(), "ase": ase.__version__, "numpy": np.__version__},
    }
