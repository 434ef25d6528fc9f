"""Many walkers, spread over processes; what they found."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from acecommon.deadline import Deadline
from acecommon.errors import ExplainedError, log
from acecommon.parallel import pool, shared
from acecommon.whole import whole
from ase import Atoms
from ase.io.trajectory import Trajectory

from .store import ATTEMPTS, Store
from .walk import PATHS, Steps, Way, walk
from .walker import Limits, Walker

FRAMES, REPORT = Path("frames.traj"), Path("exploration.json")


def read_settings(path: Path) -> tuple[Limits, str | None]:
    """Return the limits that `settings.json` holds, and the program of LAMMPS if there is one.

    :raises ExplainedError: if the file is no JSON, or a limit is missing or makes no sense.
    """
    try:
        content = json.loads(path.read_text())
        lammps = content.get("lammps")
        if not (lammps is None or isinstance(lammps, str)):
            raise TypeError(f"lammps is to be the name of a program, not {lammps!r}")
        limits = Limits(**{field.name: float(content[field.name]) for field in fields(Limits)})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ExplainedError(
            "bad_input", f"{path}: cannot be used as settings: {type(error).__name__}: {error}"
        ) from error
    if not (0 < limits.select_grade <= limits.stop_grade and limits.growth > 1 and limits.expansion > 1):
        raise ExplainedError(
            "bad_input", f"{path}: 0 < select_grade <= stop_grade, growth and expansion > 1 are needed"
        )
    return limits, lammps


def check_elements(walkers: Sequence[Walker], known: Sequence[str]) -> None:
    """Raise if a walker has an element that the potential does not know.

    :raises ExplainedError: of the kind `bad_input`.
    """
    unknown = sorted({symbol for walker in walkers for symbol in walker.start.symbols} - set(known))
    if unknown:
        raise ExplainedError("bad_input", f"the potential knows {', '.join(known)}, but not {', '.join(unknown)}")


@dataclass(frozen=True)
class _Task:
    walkers: dict[int, Walker]
    calculator: Any
    limits: Limits
    store: Store
    deadline: Deadline
    progress: _Progress
    paths: Mapping[str, Steps]


class _Progress:
    """How much of the work is done, and how long the rest may take."""

    def __init__(self, walkers: Sequence[Walker], finished: set[int]) -> None:
        self._costs = {walker.number: walker.cost for walker in walkers}
        self._before = finished
        self._start = time.monotonic()

    def tell(self, walker: Walker, record: dict[str, Any], finished: set[int]) -> None:
        """Log what became of a walker."""
        done = sum(self._costs[number] for number in finished - self._before)
        left = sum(cost for number, cost in self._costs.items() if number not in finished)
        seconds = (time.monotonic() - self._start) * left / max(1, done)
        log(
            f"{walker}: {record['ended']} after {record['steps']} of {walker.steps} steps: {record['reason']}; "
            f"largest grade {record['largest_grade']:.3g}, {record['handed_in']} frames; "
            f"{len(finished)} of {len(self._costs)} done, {seconds:.0f} s left"
        )


def explore(
    walkers: Sequence[Walker],
    calculator: Any,
    limits: Limits,
    store: Store,
    workers: int,
    deadline: Deadline,
    paths: Mapping[str, Steps] = PATHS,
) -> None:
    """Let all walkers go that have not come to their end yet, and write what all have found.

    :param paths: what each kind of walker does.

    :raises ExplainedError: of the kind `out_of_time` if some did not come to their end; what the others found is written.
    """
    finished = store.finished()
    waiting = [walker for walker in walkers if walker.number not in finished]
    if finished:
        log(f"{len(finished)} of {len(walkers)} walkers had come to their end before")
    progress = _Progress(walkers, finished)
    task = _Task({walker.number: walker for walker in waiting}, calculator, limits, store, deadline, progress, paths)
    # One of those that were on their way when a job was killed may be what killed it: each of them goes alone.
    suspects = [walker.number for walker in waiting if store.begun(walker.number)]
    others = [walker.number for walker in waiting if walker.number not in suspects]
    left = 0
    for numbers, processes in ((others, min(workers, len(others))), (sorted(suspects, key=store.begun), 1)):
        with pool(max(1, processes), task) as mapped:
            left += list(mapped(_walk, numbers)).count(False)
    _write(store, limits, len(walkers))
    if left:
        raise ExplainedError(
            "out_of_time",
            f"the walltime ended with {left} of {len(walkers)} walkers on their way; the others are kept for a restart",
        )
    store.clear()


def _walk(number: int) -> bool:
    """Let a walker go; tell whether it came to its end before the deadline."""
    task: _Task = shared()
    walker = task.walkers[number]
    if task.deadline.has_come:
        return False
    if task.store.begun(number) >= ATTEMPTS:
        reason = f"{ATTEMPTS} jobs were killed while it was on its way"
        record = task.store.add(Way(walker, "killed", reason, 0, 0.0, []))
    else:
        task.store.begin(number)
        try:
            record = task.store.add(walk(walker, task.calculator, task.limits, task.deadline, task.paths))
        except ExplainedError:
            task.store.leave(number)
            return False
    task.progress.tell(walker, record, task.store.finished())
    return True


def _write(store: Store, limits: Limits, asked: int) -> None:
    records, frames = store.records(), store.frames()
    report = {"limits": asdict(limits), "asked": asked, "done": len(records), "walkers": records}
    _write_frames(frames)
    with whole(REPORT) as beside:
        beside.write_text(json.dumps(report))
    ends = Counter(record["ended"] for record in records)
    counts = ", ".join(f"{number} {ended}" for ended, number in ends.most_common())
    log(f"{len(records)} of {asked} walkers: {counts}; {len(frames)} frames handed in")


def _write_frames(frames: Sequence[Atoms]) -> None:
    """Write the file of frames; it is empty if there are none."""
    with whole(FRAMES) as beside:
        beside.write_bytes(b"")
        if frames:
            with Trajectory(str(beside), "w") as file:
                for atoms in frames:
                    file.write(atoms)
