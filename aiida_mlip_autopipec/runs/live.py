"""Progress of running jobs, read from their logs on the computers where they run."""

from __future__ import annotations

import datetime
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path, PurePosixPath

from aiida import orm

from ..programs.failures import LABEL_LOG_FILE, LOG_FILE
from .progress import Stage, active_of

_LOGS = {
    "aiida.calculations:mlip_autopipec.ase_label": ("labels", LABEL_LOG_FILE),
    "aiida.calculations:core.shell": ("fit", LOG_FILE),
}
"""Stage and log of the jobs that report their progress, by type of process; the classes take long to import."""

MIN_PERCENT = 5
"""Finished part of the first step, in percent, below which the time left is not known."""

_ITERATION = re.compile(r"Iteration:?\s+#(\d+)\s.*?Loss:\s+(?:Total:\s+)?([-+.\deE]+)")
_MAX_ITERATIONS = re.compile(r"nonlinear fit: at most (\d+) iterations")
_TIMED_ITERATION = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),\d+ .*Iteration\s+#(\d+)\s", re.MULTILINE)
_PROGRESS = re.compile(
    r"^ *([\d.]+) s  progress: (step \d+ of \d+, .*?), (\d+) %, (\d+) s left, (\d+) s of them after this step"
    r"(?:, loss (\S+))?$",
    re.MULTILINE,
)
_STRUCTURE = re.compile(r"^ *[\d.]+ s  structure \d+ ", re.MULTILINE)


def with_job_progress(run: orm.WorkChainNode, stages: Sequence[Stage]) -> list[Stage]:
    """Return the stages of a run with the progress of its running jobs on all computers that can be reached."""
    logs = {"labels": "", "fit": ""}
    running = [job for job in active_of(run, scheduler_state="running") if job.process_type in _LOGS]
    for job, log in _logs(running):
        logs[_LOGS[job.process_type][0]] += log
    return [with_log(stage, logs.get(stage.log, "")) for stage in stages]


def with_log(stage: Stage, log: str) -> Stage:
    """Return a stage with the progress in the log of its running jobs."""
    if stage.state != "running" or not log:
        return stage
    if stage.log == "labels":
        done = len(_STRUCTURE.findall(log))
        return replace(stage, step=f"{done} more structures done in running jobs") if done else stage
    return replace(stage, **vars(fit_progress(log)))


@dataclass(frozen=True)
class FitProgress:
    """Progress of a fit from its log: step, remaining seconds and completed fraction of the whole fit, loss."""

    step: str = ""
    seconds_left: float | None = None
    fraction: float | None = None
    loss: str = ""


def fit_progress(log: str) -> FitProgress:
    """Return the progress of a fit from its log; empty if the log has none yet."""
    lines = list(_PROGRESS.finditer(log))
    if not lines:
        return FitProgress()
    last = lines[-1]
    seconds, step, percent, left, after, loss = last.groups()
    if step.startswith("step 1 of") and int(percent) < MIN_PERCENT:
        return FitProgress(f"{step}, {percent} %", loss=loss or "")
    iterations = _ITERATION.findall(log, last.end())
    if not iterations:
        return FitProgress(f"{step}, {percent} %", float(left), _fraction(float(seconds), float(left)), loss or "")
    number, loss = iterations[-1]
    max_iterations = _MAX_ITERATIONS.search(log, last.end())
    step = f"{step}, iteration {number}{f' of at most {max_iterations[1]}' if max_iterations else ''}"
    times = _TIMED_ITERATION.findall(log, last.end())
    if max_iterations is None or len(times) < 2:
        return FitProgress(step, float(left), _fraction(float(seconds), float(left)), loss)
    (first_time, first_iteration), (last_time, last_iteration) = times[0], times[-1]
    elapsed = (_parse_time(last_time) - _parse_time(first_time)).total_seconds()
    seconds_each = elapsed / max(1, int(last_iteration) - int(first_iteration))
    remaining = seconds_each * max(0, int(max_iterations[1]) - int(last_iteration)) + float(after)
    return FitProgress(step, remaining, _fraction(float(seconds) + elapsed, remaining), loss)


def _fraction(elapsed: float, left: float) -> float:
    return elapsed / max(elapsed + left, 1e-9)


def _parse_time(text: str) -> datetime.datetime:
    return datetime.datetime.strptime(text, "%Y-%m-%d %H:%M:%S")


def _logs(jobs: Sequence[orm.CalcJobNode]) -> Iterator[tuple[orm.CalcJobNode, str]]:
    """Yield the logs of jobs; each computer is opened once."""
    for _, group in groupby(sorted(jobs, key=lambda job: job.computer.pk), key=lambda job: job.computer.pk):
        group_jobs = list(group)
        try:
            with group_jobs[0].get_transport() as transport, tempfile.TemporaryDirectory() as folder:
                for job in group_jobs:
                    _, name = _LOGS[job.process_type]
                    path = PurePosixPath(job.get_remote_workdir() or "/") / name
                    if transport.isfile(str(path)):
                        transport.getfile(str(path), str(Path(folder) / name))
                        yield job, (Path(folder) / name).read_text(errors="replace")
        except Exception:
            # Show the state in the database even if a computer cannot be reached.
            continue
