"""What a walker hands in, and when it has gone far enough."""

from __future__ import annotations

import math
from typing import Any

from acecommon.potential import largest_grade
from ase import Atoms

from .guard import UnphysicalError
from .walker import Limits, Walker

STOP_GRADE, UNKNOWN_START = "stop_grade", "unknown_start"
"""Ends where the potential knows too little: on the way, or before it."""

COLDEST = 1000.0
"""K; however cold the thermostat, what a start releases on its way to a minimum may heat it to several times this."""


class Watch:
    """Looks at every step of a walker.

    The frames it keeps are: the first whose grade is at least `select_grade`; then each whose grade has grown by `growth`;
    and the last below `stop_grade`. A walker that jumps over all between the limits hands in the frame where it lands: each
    frame it keeps was reached by steps from where the potential's word was worth something, and was not refused.
    """

    def __init__(self, walker: Walker, limits: Limits) -> None:
        self._walker, self._limits = walker, limits
        self._last: Atoms | None = None
        self.frames: list[Atoms] = []
        self.steps = 0
        self.largest_grade = 0.0

    def look(self, atoms: Atoms, step: int) -> None:
        """Look at a step.

        :raises UnphysicalError: if the walker is to end there.
        """
        atoms.get_potential_energy()
        self._check_temperature(atoms)
        grade = largest_grade(atoms.calc)
        if not math.isfinite(grade):
            raise UnphysicalError("not_finite", "the extrapolation grade is not finite")
        self.steps, self.largest_grade = step, max(grade, self.largest_grade)
        frame = self._frame(atoms, grade)
        if grade >= self._limits.stop_grade:
            self.keep_last(than=math.sqrt(self._limits.growth))
            if not self.frames:
                self.frames.append(frame)
            raise UnphysicalError(STOP_GRADE if step else UNKNOWN_START, f"its grade is {grade:.3g}")
        if grade >= self._wanted(self._limits.growth):
            self.frames.append(frame)
        self._last = frame

    def keep_last(self, than: float | None = None) -> None:
        """Keep the last frame that was not refused, if it is not kept yet.

        :param than: only if its grade is this factor larger than that of the last one kept.
        """
        last = self._last
        if last is None or (self.frames and self.frames[-1] is last):
            return
        if than is None or last.info["grade"] >= self._wanted(than):
            self.frames.append(last)

    def _wanted(self, growth: float) -> float:
        """Return the grade from which on a frame is kept."""
        return growth * self.frames[-1].info["grade"] if self.frames else self._limits.select_grade

    def _frame(self, atoms: Atoms, grade: float) -> Atoms:
        frame = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
        frame.info = {"family": self._walker.family, "walker": self._walker.number, "step": self.steps, "grade": grade}
        conditions: dict[str, Any] = {"temperature": self._walker.temperature, "pressure": self._walker.pressure}
        frame.info |= {name: value for name, value in conditions.items() if value is not None}
        return frame

    def _check_temperature(self, atoms: Atoms) -> None:
        if self._walker.temperature is None:
            return
        temperature = atoms.get_temperature()
        if not temperature <= self._limits.hottest * max(self._walker.temperature, COLDEST):
            raise UnphysicalError("too_hot", f"its temperature is {temperature:.0f} K")
