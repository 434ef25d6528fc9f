"""Run many samplers in parallel and write the saved frames."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.io.trajectory import Trajectory
from mlip_common.atomic import atomic_write
from mlip_common.deadline import Deadline
from mlip_common.errors import ProgramError, log
from mlip_common.parallel import shared, worker_pool

from .lammps import LammpsProgram
from .run import METHODS, SamplerResult, SamplingMethod, run_sampler
from .sampler import Limits, Sampler
from .store import ATTEMPTS, Store

FRAMES, REPORT = Path("frames.traj"), Path("exploration.json")


def read_settings(path: Path) -> tuple[Limits, LammpsProgram | None]:
    """Return the limits in `settings.json`, and the LAMMPS program, with the commands of the user, if one is given.

    :raises ProgramError: of the kind `bad_input`, if the file is no JSON, or a limit is missing or invalid.
    """
    try:
        content = json.loads(path.read_text())
        lammps, commands = content.get("lammps"), content.get("lammps_input")
        for key, value in (("lammps", lammps), ("lammps_input", commands)):
            if not (value is None or isinstance(value, str)):
                raise TypeError(f"{key} must be text, not {value!r}")
        interval = content.get("save_interval")
        limits = Limits(
            **{field.name: float(content[field.name]) for field in fields(Limits) if field.name != "save_interval"},
            save_interval=None if interval is None else int(interval),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ProgramError(
            "bad_input", f"{path}: cannot be used as settings: {type(error).__name__}: {error}"
        ) from error
    if not (0 < limits.select_grade <= limits.stop_grade and limits.growth > 1 and limits.expansion > 1):
        raise ProgramError("bad_input", f"{path}: needs 0 < select_grade <= stop_grade, growth > 1 and expansion > 1")
    if limits.save_interval is not None and limits.save_interval < 1:
        raise ProgramError(
            "bad_input", f"{path}: save_interval is {limits.save_interval}; it must be at least 1, or null"
        )
    return limits, None if lammps is None else LammpsProgram(lammps, commands)


def check_elements(samplers: Sequence[Sampler], elements: Sequence[str]) -> None:
    """Raise an error if a structure has an element that the potential does not have.

    :raises ProgramError: of the kind `bad_input`.
    """
    unknown = sorted({symbol for sampler in samplers for symbol in sampler.start.symbols} - set(elements))
    if unknown:
        raise ProgramError(
            "bad_input", f"the potential has the elements {', '.join(elements)}, not {', '.join(unknown)}"
        )


@dataclass(frozen=True)
class _Task:
    samplers: dict[int, Sampler]
    calculator: Any
    limits: Limits
    store: Store
    deadline: Deadline
    progress: _Progress
    methods: Mapping[str, SamplingMethod]


class _Progress:
    """The progress of all samplers and the estimated remaining time."""

    def __init__(self, samplers: Sequence[Sampler], finished: set[int]) -> None:
        self._costs = {sampler.number: sampler.cost for sampler in samplers}
        self._resumed = finished
        self._start = time.monotonic()

    def log_result(self, sampler: Sampler, record: dict[str, Any], finished: set[int]) -> None:
        """Log the result of a sampler and the remaining time."""
        done = sum(self._costs[number] for number in finished - self._resumed)
        left = sum(cost for number, cost in self._costs.items() if number not in finished)
        seconds = (time.monotonic() - self._start) * left / max(1, done)
        log(
            f"{sampler}: {record['ended']} after {record['steps']} of {sampler.steps} steps: {record['reason']}; "
            f"largest grade {record['largest_grade']:.3g}, {record['handed_in']} frames saved; "
            f"{len(finished)} of {len(self._costs)} done, {seconds:.0f} s left"
        )


def explore(
    samplers: Sequence[Sampler],
    calculator: Any,
    limits: Limits,
    store: Store,
    workers: int,
    deadline: Deadline,
    methods: Mapping[str, SamplingMethod] = METHODS,
) -> None:
    """Run all samplers that are not finished yet, and write the saved frames of all.

    :param methods: the sampling method of each kind of sampler.
    :raises ProgramError: of the kind `out_of_time`, if some did not finish; the frames of the finished ones are written.
    """
    finished = store.finished()
    waiting = [sampler for sampler in samplers if sampler.number not in finished]
    if finished:
        log(f"{len(finished)} of {len(samplers)} samplers were finished by an earlier job")
    progress = _Progress(samplers, finished)
    task = _Task(
        {sampler.number: sampler for sampler in waiting}, calculator, limits, store, deadline, progress, methods
    )
    # A sampler that was running when a job was killed may be the cause: each of these runs alone.
    suspects = [sampler.number for sampler in waiting if store.interruptions(sampler.number)]
    others = [sampler.number for sampler in waiting if sampler.number not in suspects]
    left = 0
    for numbers, processes in ((others, min(workers, len(others))), (sorted(suspects, key=store.interruptions), 1)):
        with worker_pool(max(1, processes), task) as mapped:
            left += list(mapped(_run, numbers)).count(False)
    _write(store, limits, len(samplers))
    if left:
        raise ProgramError(
            "out_of_time",
            f"the walltime ended with {left} of {len(samplers)} samplers unfinished; the finished ones are kept for a restart",
        )
    store.clear()


def _run(number: int) -> bool:
    """Run a sampler; return whether it finished before the deadline."""
    task: _Task = shared()
    sampler = task.samplers[number]
    if task.deadline.has_passed:
        return False
    if task.store.interruptions(number) >= ATTEMPTS:
        reason = f"{ATTEMPTS} jobs were killed while it was running"
        record = task.store.add(SamplerResult(sampler, "killed", reason, 0, 0.0, []))
    else:
        task.store.mark_start(number)
        try:
            record = task.store.add(run_sampler(sampler, task.calculator, task.limits, task.deadline, task.methods))
        except ProgramError:
            task.store.forget_start(number)
            return False
    task.progress.log_result(sampler, record, task.store.finished())
    return True


def _write(store: Store, limits: Limits, asked: int) -> None:
    records, frames = store.records(), store.frames()
    report = {"limits": asdict(limits), "asked": asked, "done": len(records), "walkers": records}
    _write_frames(frames)
    with atomic_write(REPORT) as temporary:
        temporary.write_text(json.dumps(report))
    ends = Counter(record["ended"] for record in records)
    counts = ", ".join(f"{number} {ended}" for ended, number in ends.most_common())
    log(f"{len(records)} of {asked} samplers: {counts}; {len(frames)} frames saved")


def _write_frames(frames: Sequence[Atoms]) -> None:
    """Write the saved frames; the file is empty if there are none."""
    with atomic_write(FRAMES) as temporary:
        temporary.write_bytes(b"")
        if frames:
            with Trajectory(str(temporary), "w") as file:
                for atoms in frames:
                    file.write(atoms)
