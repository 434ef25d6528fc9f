"""Labels of all structures of a job, in batches if the calculator can, then one after the other."""

from __future__ import annotations

import platform

import ase
import numpy as np
from ase import Atoms
from mlip_common.deadline import Deadline
from mlip_common.errors import log

from .outcome import Outcome
from .records import Records
from .worker import Worker


def label_all(structures: list[Atoms], method: dict, seconds_per_structure: float | None, deadline: Deadline) -> dict:
    """Label all structures that have no recorded result; return the summary."""
    run = _Run(structures, method, seconds_per_structure, deadline)
    try:
        run.label_batches()
        run.label_each()
    finally:
        run.close()
    return {
        "asked": len(structures),
        "labelled": len(run.records.labelled),
        "failed": len(run.records.failed),
        "out_of_time": run.out_of_time,
        "calculator_unavailable": run.unavailable,
        "versions": {"python": platform.python_version(), "ase": ase.__version__, "numpy": np.__version__},
    }


class _Run:
    """Labels the structures of a job that have no recorded result, by a worker that is replaced when it crashes or hangs."""

    def __init__(self, structures: list[Atoms], method: dict, seconds: float | None, deadline: Deadline) -> None:
        self._structures, self._method, self._seconds, self._deadline = structures, method, seconds, deadline
        self._worker: Worker | None = None
        self.records = Records(deadline)
        self.unavailable = ""
        self.out_of_time = False

    def close(self) -> None:
        """Kill the worker."""
        if self._worker is not None:
            self._worker.kill()
            self._worker = None

    def label_batches(self) -> None:
        """Label structures at the same time, if the calculator can; those of a batch that fails remain unlabelled."""
        size = self._method.get("batch_size") or 1
        # Similar sizes together: a batch needs the memory of all its structures.
        left = sorted(self._left(), key=lambda index: len(self._structures[index]))
        for batch in (left[first : first + size] for first in range(0, len(left), size)) if size > 1 else ():
            worker = self._ready_worker()
            if worker is None:
                return
            seconds = None if self._seconds is None else self._seconds * len(batch)
            outcomes = worker.label_batch([self._structures[index] for index in batch], self._deadline.limit(seconds))
            if outcomes is None:
                return
            if isinstance(outcomes, Outcome):
                log(f"a batch of {len(batch)} structures failed ({outcomes.reason}); they are labelled one by one")
                if outcomes.failure != "exception":
                    self.close()
                continue
            for index, outcome in zip(batch, outcomes, strict=True):
                # A structure whose label failed is computed again alone, which gives the reason.
                if not outcome.failure:
                    self.records.add(index, self._structures[index], outcome)

    def label_each(self) -> None:
        """Label structures one by one."""
        for index in self._left():
            worker = self._ready_worker()
            if worker is None:
                return
            outcome = worker.label(index, self._structures[index], self._deadline.limit(self._seconds))
            if outcome.failure == "timeout" and self._deadline.remaining() <= 0:
                # The walltime ended before the limit of the structure: it is left for the next job.
                self.out_of_time = True
                return
            self.records.add(index, self._structures[index], outcome)
            if outcome.failure in ("timeout", "crash"):
                self.close()

    def _left(self) -> list[int]:
        done = self.records.labelled | self.records.failed
        return [index for index in range(len(self._structures)) if index not in done]

    def _ready_worker(self) -> Worker | None:
        """Return a worker with a calculator; None if there is no time left, or the calculator cannot be created."""
        if self.unavailable or self.out_of_time or self._deadline.remaining() <= 0:
            self.out_of_time |= not self.unavailable
            return None
        if self._worker is None:
            self._worker = Worker(self._method)
            outcome = self._worker.started(self._deadline.limit())
            if outcome.failure:
                self.out_of_time = outcome.failure == "timeout"
                self.unavailable = "" if self.out_of_time else outcome.reason
                return None
        return self._worker
