"""The steps of a program and the remaining time, as lines of its log.

A line reads `progress: step 3 of 7, design matrix, 45 %, 120 s left, 60 s of them after this step, loss 1.2e-03`. Costs are
estimates in seconds on a typical machine. The speed of this machine follows from the finished work.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from .errors import log

PRIOR_SECONDS = 1.0
"""Weight of the typical speed against the measured speed, in seconds of work."""

LEAST_REMAINING = 0.1
"""Fraction of its estimated cost that a running step always has left, even if it takes longer than estimated."""

QUIET_SECONDS = 1.0
"""Shortest time between two log lines of one step."""


@dataclass
class _Step:
    cost: float
    done: float = 0.0

    @property
    def left(self) -> float:
        return max(self.cost - self.done, LEAST_REMAINING * self.cost)


class Progress:
    """The steps of one program."""

    def __init__(self) -> None:
        self._steps: dict[str, _Step] = {}
        self._current = ""
        self._start = self._last_line = 0.0
        self._finished_cost = 0.0
        self._loss: float | None = None

    def plan(self, costs: Mapping[str, float]) -> None:
        """Set the steps in order with their costs; a second call replaces the costs of the steps that are not finished.

        :param costs: seconds on a typical machine, by step.
        """
        if not self._steps:
            self._start = time.monotonic()
        self._steps = {
            name: _Step(cost, self._steps[name].done if name in self._steps else 0.0) for name, cost in costs.items()
        }

    def begin(self, name: str) -> None:
        """Begin a step; the steps before it are finished."""
        if name not in self._steps:
            return
        if self._current in self._steps and name != self._current:
            self._finished_cost += max(self._steps[self._current].done, 0.0) or self._steps[self._current].cost
        self._current, self._loss = name, None
        self._write()

    def add(self, cost: float, loss: float | None = None) -> None:
        """Add finished work to the current step.

        :param cost: seconds on a typical machine.
        :param loss: the error that the step minimises.
        """
        if self._current not in self._steps:
            return
        self._steps[self._current].done += cost
        self._loss = self._loss if loss is None else min(loss, self._loss or loss)
        if time.monotonic() - self._last_line >= QUIET_SECONDS:
            self._write()

    def set_fraction(self, fraction: float) -> None:
        """Set the finished fraction of the current step, from 0 to 1."""
        if self._current in self._steps:
            step = self._steps[self._current]
            self.add(fraction * step.cost - step.done)

    def _write(self) -> None:
        names = list(self._steps)
        place, step = names.index(self._current), self._steps[self._current]
        done = self._finished_cost + step.done
        slowness = (time.monotonic() - self._start + PRIOR_SECONDS) / (done + PRIOR_SECONDS)
        after = slowness * sum(self._steps[name].cost for name in names[place + 1 :])
        percent = 100.0 * min(1.0, step.done / step.cost) if step.cost else 0.0
        loss = "" if self._loss is None else f", loss {self._loss:.3g}"
        log(
            f"progress: step {place + 1} of {len(names)}, {self._current}, {percent:.0f} %, "
            f"{slowness * step.left + after:.0f} s left, {after:.0f} s of them after this step{loss}"
        )
        self._last_line = time.monotonic()


progress = Progress()
"""The progress of this process."""
