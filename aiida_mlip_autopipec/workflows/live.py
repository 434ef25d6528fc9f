"""What jobs that run at this moment say of themselves: read from their logs, on the computers where they run."""

from __future__ import annotations

import datetime
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path, PurePosixPath

from aiida import orm
from aiida_shell import ShellJob

from ..explained import STDOUT
from ..oracle.calculation import AseLabelCalculation
from .progress import Stage, active_of

_LOGS = {AseLabelCalculation: ("labels", AseLabelCalculation.LOG), ShellJob: ("fit", STDOUT)}
"""Stage and log of the jobs that say how far they are."""

_ITERATION = re.compile(r"Iteration:?\s+#(\d+)\s.*?Loss:\s+(?:Total:\s+)?([-+.\deE]+)")
_MOST_ITERATIONS = re.compile(r"nonlinear fit: at most (\d+) iterations")
_TIMED_ITERATION = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),\d+ .*Iteration\s+#(\d+)\s", re.MULTILINE)
_LEFT = re.compile(r", (\d+) s left$")
_OWN_LINE = re.compile(r"^\s*[\d.]+ s\s+(\S.*)$", re.MULTILINE)
_STRUCTURE = re.compile(r"^structure \d+ ", re.MULTILINE)


def with_live(run: orm.WorkChainNode, stages: Sequence[Stage]) -> list[Stage]:
    """Return the stages of a run, with what its running jobs say; what cannot be reached just says nothing."""
    logs = {"labels": "", "fit": ""}
    running = [job for job in active_of(run, scheduler_state="running") if job.process_class in _LOGS]
    for job, log in _logs(running):
        logs[_LOGS[job.process_class][0]] += log
    return [_with_log(stage, logs.get(stage.log, "")) for stage in stages]


def _with_log(stage: Stage, log: str) -> Stage:
    if stage.state != "running" or not log:
        return stage
    if stage.log == "labels":
        done = len(_STRUCTURE.findall(log))
        return replace(stage, detail=f"{stage.detail}; {done} more structures done in running jobs") if done else stage
    told, left = fit_progress(log)
    return replace(stage, detail=f"{stage.detail}: {told}" if told else stage.detail, seconds_left=left)


def fit_progress(log: str) -> tuple[str, float | None]:
    """Return what the log of a fit says last: the iteration and the loss, or else the step; and the seconds left."""
    iterations = _ITERATION.findall(log)
    own = _OWN_LINE.findall(log)
    if not iterations:
        if not own:
            return "", None
        left = _LEFT.search(own[-1])
        # After its last atom the choice of functions has yet to come, which says nothing until it is done.
        return (own[-1][: left.start()], float(left[1]) or None) if left else (own[-1], None)
    number, loss = iterations[-1]
    most = _MOST_ITERATIONS.search(log)
    told = f"iteration {number}{f' of at most {most[1]}' if most else ''}, loss {loss}"
    timed = _TIMED_ITERATION.findall(log)
    if most is None or len(timed) < 2:
        return told, None
    (begun, first), (last, reached) = timed[0], timed[-1]
    seconds = (_moment(last) - _moment(begun)).total_seconds()
    return told, seconds / max(1, int(reached) - int(first)) * max(0, int(most[1]) - int(reached))


def _moment(text: str) -> datetime.datetime:
    return datetime.datetime.strptime(text, "%Y-%m-%d %H:%M:%S")


def _logs(jobs: Sequence[orm.CalcJobNode]) -> Iterator[tuple[orm.CalcJobNode, str]]:
    """Yield the logs of jobs, with one login a computer."""
    for _, group in groupby(sorted(jobs, key=lambda job: job.computer.pk), key=lambda job: job.computer.pk):
        there = list(group)
        try:
            with there[0].get_transport() as transport, tempfile.TemporaryDirectory() as folder:
                for job in there:
                    _, name = _LOGS[job.process_class]
                    path = PurePosixPath(job.get_remote_workdir() or "/") / name
                    if transport.isfile(str(path)):
                        transport.getfile(str(path), str(Path(folder) / name))
                        yield job, (Path(folder) / name).read_text(errors="replace")
        except Exception:
            # A status is asked for when things go wrong too: what the database holds is shown all the same.
            continue
