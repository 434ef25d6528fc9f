"""Run one sampler from its start until it stops."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ase import Atoms
from mlip_common.deadline import Deadline
from mlip_common.errors import ProgramError

from .deformation import deformation
from .dynamics import dynamics
from .guard import GuardedCalculator, UnphysicalError
from .monitor import STOP_GRADE, UNKNOWN_START, Monitor
from .relaxation import relaxation
from .sampler import Limits, Sampler

SamplingMethod = Callable[[Atoms, Sampler], Iterator[int]]
"""A sampling method: changes the atoms in place and yields the number of finished steps, from 0."""

METHODS: Mapping[str, SamplingMethod] = {
    "md": dynamics,
    "melt_quench": dynamics,
    "deformation": deformation,
    "relaxation": relaxation,
}

ALL_STEPS, RELAXED = "all_steps", "relaxed"


@dataclass(frozen=True)
class SamplerResult:
    """The result of a sampler.

    :ivar stop_reason: such as :data:`ALL_STEPS`; records and frames have it under the key `ended`, as stored nodes do.
    :ivar reason: the stop reason in words.
    :ivar steps: number of finished steps.
    """

    sampler: Sampler
    stop_reason: str
    reason: str
    steps: int
    largest_grade: float
    frames: list[Atoms]

    def record(self) -> dict[str, Any]:
        """Return the result as a JSON object."""
        sampler = self.sampler
        return {
            "walker": sampler.number,
            "kind": sampler.kind,
            "family": sampler.family,
            "formula": sampler.start.get_chemical_formula(),
            "temperature": sampler.temperature,
            "pressure": sampler.pressure,
            "steps_asked": sampler.steps,
            "steps": self.steps,
            "time_ps": self.steps * sampler.timestep / 1000 if sampler.kind in ("md", "melt_quench") else None,
            "largest_grade": self.largest_grade,
            "ended": self.stop_reason,
            "reason": self.reason,
            "handed_in": len(self.frames),
        }


def run_sampler(
    sampler: Sampler,
    calculator: Any,
    limits: Limits,
    deadline: Deadline,
    methods: Mapping[str, SamplingMethod] = METHODS,
) -> SamplerResult:
    """Run a sampler and return its result.

    :param methods: the sampling method by kind of sampler.
    :raises ProgramError: of the kind `out_of_time`, at the deadline.
    """
    atoms = sampler.start.copy()
    atoms.calc = GuardedCalculator(calculator, atoms, limits)
    monitor = Monitor(sampler, limits)
    stop_reason, reason = ALL_STEPS, "all steps done"
    try:
        for step in methods[sampler.kind](atoms, sampler):
            deadline.check(str(sampler))
            monitor.check(atoms, step)
        if sampler.kind == "relaxation" and monitor.steps < sampler.steps:
            stop_reason, reason = RELAXED, "the forces are below the limit"
    except UnphysicalError as error:
        stop_reason, reason = error.kind, str(error)
    except ProgramError:
        raise
    except Exception as error:
        # Unusual structures can raise any exception in a library: it stops the sampler, not the program.
        stop_reason, reason = "error", f"{type(error).__name__}: {error}"
    prescribed = sampler.kind == "deformation" and stop_reason in ("too_close", "volume")
    if not prescribed and stop_reason not in (ALL_STEPS, RELAXED, STOP_GRADE, UNKNOWN_START):
        # The grade gave no warning before the failure: the structure may be missing in the training data.
        monitor.save_last()
    if limits.save_interval is not None and stop_reason in (ALL_STEPS, RELAXED):
        monitor.save_last()
    for frame in monitor.frames:
        frame.info["ended"] = stop_reason
    grade = monitor.largest_grade
    return SamplerResult(
        sampler, stop_reason, reason, monitor.steps, grade if math.isfinite(grade) else 0.0, monitor.frames
    )
