"""Frames that a sampler saves, and when it stops."""

from __future__ import annotations

import math
from typing import Any

from ase import Atoms
from mlip_common.potential import largest_grade

from .guard import UnphysicalError
from .sampler import Limits, Sampler

STOP_GRADE, UNKNOWN_START = "stop_grade", "unknown_start"
"""Stop reasons for a grade above `stop_grade`: after some steps, or already at the start."""

COLDEST = 1000.0
"""K; lowest temperature for which the limit is computed: a start far from an energy minimum heats up even if the thermostat is
colder."""


class Monitor:
    """Checks every step of a sampler and saves frames.

    It saves the first frame whose grade is at least `select_grade`, then each frame whose grade is `growth` times the largest
    saved one, and, if the sampler stops at `stop_grade`, the frame before, if it differs enough from the last saved frame. If
    a step jumps from below `select_grade` to above `stop_grade`, the frame after it is saved: it was reached from a structure
    for which the potential is reliable, and is not unphysical. With a `save_interval`, it also saves a frame whenever that
    number of steps has passed since the last one.
    """

    def __init__(self, sampler: Sampler, limits: Limits) -> None:
        self._sampler, self._limits = sampler, limits
        self._last: Atoms | None = None
        # Frames below `select_grade`, which are saved because of `save_interval`, are not included.
        self._largest_saved: float | None = None
        self._saved_at = 0
        self.frames: list[Atoms] = []
        self.steps = 0
        self.largest_grade = 0.0

    def check(self, atoms: Atoms, step: int) -> None:
        """Check a step and save its frame if needed.

        :raises UnphysicalError: if the sampler must stop; `kind` is the stop reason.
        """
        atoms.get_potential_energy()
        self._check_temperature(atoms)
        grade = largest_grade(atoms.calc)
        if not math.isfinite(grade):
            raise UnphysicalError("not_finite", "the extrapolation grade is not finite")
        self.steps, self.largest_grade = step, max(grade, self.largest_grade)
        frame = self._frame(atoms, grade)
        if grade >= self._limits.stop_grade:
            self.save_last(min_growth=math.sqrt(self._limits.growth))
            if self._largest_saved is None:
                self._save(frame)
            raise UnphysicalError(STOP_GRADE if step else UNKNOWN_START, f"the extrapolation grade is {grade:.3g}")
        interval = self._limits.save_interval
        is_due = interval is not None and step - self._saved_at >= interval
        if is_due or grade >= self._threshold(self._limits.growth):
            self._save(frame)
        self._last = frame

    def save_last(self, min_growth: float | None = None) -> None:
        """Save the last physical frame, if it is not saved yet.

        :param min_growth: save it only if its grade is larger than that of the last saved frame by this factor.
        """
        last = self._last
        if last is None or (self.frames and self.frames[-1] is last):
            return
        if min_growth is None or last.info["grade"] >= self._threshold(min_growth):
            self._save(last)

    def _save(self, frame: Atoms) -> None:
        self.frames.append(frame)
        self._saved_at = frame.info["step"]
        if frame.info["grade"] >= self._limits.select_grade:
            self._largest_saved = max(frame.info["grade"], self._largest_saved or 0.0)

    def _threshold(self, growth: float) -> float:
        """Return the grade from which the next frame is saved."""
        return self._limits.select_grade if self._largest_saved is None else growth * self._largest_saved

    def _frame(self, atoms: Atoms, grade: float) -> Atoms:
        frame = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
        frame.info = {
            "family": self._sampler.family,
            "walker": self._sampler.number,
            "step": self.steps,
            "grade": grade,
        }
        conditions: dict[str, Any] = {"temperature": self._sampler.temperature, "pressure": self._sampler.pressure}
        frame.info |= {name: value for name, value in conditions.items() if value is not None}
        return frame

    def _check_temperature(self, atoms: Atoms) -> None:
        if self._sampler.temperature is None:
            return
        temperature = atoms.get_temperature()
        if not temperature <= self._limits.hottest * max(self._sampler.temperature, COLDEST):
            raise UnphysicalError("too_hot", f"the temperature is {temperature:.0f} K")
