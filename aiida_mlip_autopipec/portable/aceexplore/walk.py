"""A walker's way from its start to its end, whatever that is."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from acecommon.deadline import Deadline
from acecommon.errors import ExplainedError
from ase import Atoms

from .deformation import deformation
from .dynamics import dynamics
from .guard import Guard, UnphysicalError
from .relaxation import relaxation
from .walker import Limits, Walker
from .watch import STOP_GRADE, UNKNOWN_START, Watch

Steps = Callable[[Atoms, Walker], Iterator[int]]
"""What a kind of walker does: it yields how many steps are done, from 0 on, its atoms having changed."""

PATHS: Mapping[str, Steps] = {"md": dynamics, "deformation": deformation, "relaxation": relaxation}

ALL_STEPS, RELAXED = "all_steps", "relaxed"


@dataclass(frozen=True)
class Way:
    """What became of a walker."""

    walker: Walker
    ended: str
    reason: str
    steps: int
    largest_grade: float
    frames: list[Atoms]

    def record(self) -> dict[str, Any]:
        """Return it in JSON's types."""
        walker = self.walker
        return {
            "walker": walker.number,
            "kind": walker.kind,
            "family": walker.family,
            "formula": walker.start.get_chemical_formula(),
            "temperature": walker.temperature,
            "pressure": walker.pressure,
            "steps_asked": walker.steps,
            "steps": self.steps,
            "time_ps": self.steps * walker.timestep / 1000 if walker.kind == "md" else None,
            "largest_grade": self.largest_grade,
            "ended": self.ended,
            "reason": self.reason,
            "handed_in": len(self.frames),
        }


def walk(
    walker: Walker, calculator: Any, limits: Limits, deadline: Deadline, paths: Mapping[str, Steps] = PATHS
) -> Way:
    """Let a walker go.

    :param paths: what each kind of walker does.
    :raises ExplainedError: of the kind `out_of_time`, at the deadline.
    """
    atoms = walker.start.copy()
    atoms.calc = Guard(calculator, atoms, limits)
    watch = Watch(walker, limits)
    ended, reason = ALL_STEPS, "it has done all its steps"
    try:
        for step in paths[walker.kind](atoms, walker):
            deadline.check(str(walker))
            watch.look(atoms, step)
        if walker.kind == "relaxation" and watch.steps < walker.steps:
            ended, reason = RELAXED, "its forces are small"
    except UnphysicalError as error:
        ended, reason = error.kind, str(error)
    except ExplainedError:
        raise
    except Exception as error:
        # The strangest structures meet faults in every library: they are the walker's end, not the program's.
        ended, reason = "error", f"{type(error).__name__}: {error}"
    prescribed = walker.kind == "deformation" and ended in ("too_close", "volume")
    if not prescribed and ended not in (ALL_STEPS, RELAXED, STOP_GRADE, UNKNOWN_START):
        # Its grade did not warn: there may be a hole in what the potential was fitted to.
        watch.keep_last()
    for frame in watch.frames:
        frame.info["ended"] = ended
    grade = watch.largest_grade
    return Way(walker, ended, reason, watch.steps, grade if math.isfinite(grade) else 0.0, watch.frames)
