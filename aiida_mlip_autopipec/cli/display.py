"""Display of the stages of an active run: live on a terminal, otherwise as lines of text."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.table import Table

    from ..runs.progress import Stage

POLL_SECONDS, MAX_POLL_SECONDS = 0.5, 5.0
"""Shortest and longest interval (s) of the query for changes; it grows while nothing changes."""

BACK_OFF = 1.25
"""Factor by which an interval grows."""

LOG_SECONDS, MAX_LOG_SECONDS = 5.0, 30.0
"""Shortest and longest interval (s) at which the logs of running jobs are read, which may be on another computer."""

PLAIN_SECONDS = 30.0
"""Interval (s) at which a stage is printed again if only its numbers have changed, without a terminal."""

BAR_WIDTH = 24

MARKS = {"waiting": "·", "running": "▸", "paused": "‖", "done": "✓", "failed": "✗"}
_STYLES = {"waiting": "dim", "running": "bold", "paused": "yellow", "done": "green", "failed": "red"}

Shown = tuple[Sequence["Stage"], Sequence[str]]
"""Stages, and further lines."""


def follow(
    look: Callable[[bool], Shown], ended: Callable[[], bool], last_change: Callable[[], object] | None = None
) -> None:
    """Show a run until it has ended.

    :param look: returns stages and lines; its argument is whether to read the logs of running jobs.
    :param ended: returns whether the run has ended.
    :param last_change: returns what differs after each change of the run; without it, the stages are queried each time.
    """
    poll = _Poll(look, ended, last_change or object)
    if sys.stdout.isatty():
        _live(poll)
    else:
        _plain(poll)


class _Poll:
    """Queries a run until it has ended: its stages only after a change, or when the logs are due."""

    def __init__(
        self, look: Callable[[bool], Shown], ended: Callable[[], bool], last_change: Callable[[], object]
    ) -> None:
        self._look, self._ended, self._last_change = look, ended, last_change
        self._change: object = None
        self._known: dict[str, Stage] = {}
        self._last_logs, self._log_interval = -LOG_SECONDS, LOG_SECONDS
        self._interval = POLL_SECONDS

    def shown(self) -> Iterator[Shown]:
        """Yield what to show, when it may have changed."""
        while True:
            # Queried before the stages, so that the last display is complete.
            is_last, change = self._ended(), self._last_change()
            has_changed, self._change = change != self._change, change
            with_logs = time.monotonic() - self._last_logs >= self._log_interval
            if has_changed or with_logs or is_last:
                yield self._current(with_logs)
                if is_last:
                    return
            self._interval = POLL_SECONDS if has_changed else min(self._interval * BACK_OFF, MAX_POLL_SECONDS)
            time.sleep(self._interval)

    def _current(self, with_logs: bool) -> Shown:
        stages, lines = self._look(with_logs)
        if with_logs:
            self._last_logs = time.monotonic()
            self._log_interval = min(self._log_interval * BACK_OFF, max(LOG_SECONDS, MAX_LOG_SECONDS))
            self._known = {stage.name: stage for stage in stages}
            return stages, lines
        return [_with_last_log(stage, self._known.get(stage.name)) for stage in stages], lines


def _with_last_log(stage: Stage, before: Stage | None) -> Stage:
    """Return the stage with the last information from the logs if it has not changed, else the new stage."""
    return before if before is not None and before == stage else stage


def _live(poll: _Poll) -> None:
    from rich.console import Console, Group
    from rich.live import Live
    from rich.text import Text

    start = time.monotonic()
    with Live(console=Console(), auto_refresh=False) as live:
        for stages, lines in poll.shown():
            spent = Text(f"{duration(time.monotonic() - start)} since the start of this display", style="dim")
            live.update(Group(stage_table(stages), *(Text(line) for line in lines), spent), refresh=True)


def stage_table(stages: Sequence[Stage]) -> Table:
    """Return a table of the stages: mark, name, progress bar, time left, detail."""
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 1))
    for stage in stages:
        style = _STYLES[stage.state]
        shows_bar = stage.fraction is not None and stage.state in ("running", "paused")
        bar = ProgressBar(100.0, 100.0 * (stage.fraction or 0.0), width=BAR_WIDTH) if shows_bar else Text("")
        table.add_row(
            Text(MARKS[stage.state], style=style),
            Text(stage.name, style=style),
            bar,
            Text(time_left(stage)),
            Text(_detail(stage)),
        )
    return table


def _plain(poll: _Poll) -> None:
    start = time.monotonic()
    printed: dict[str, tuple[Stage, str, float]] = {}
    printed_lines: list[str] = []

    for stages, lines in poll.shown():
        now = time.monotonic()
        for stage in stages:
            if stage.state == "waiting":
                continue
            before = printed.get(stage.name)
            step = stage.step.rsplit(", ", 1)[0]
            changed = before is None or before[0] != stage or before[1] != step
            if changed or (before is not None and stage.step != before[0].step and now - before[2] >= PLAIN_SECONDS):
                click.echo(f"{now - start:7.1f} s {stage_line(stage)}")
                printed[stage.name] = stage, step, now
        if list(lines) != printed_lines:
            printed_lines[:] = lines
            for line in lines:
                click.echo(f"{now - start:7.1f} s   {line}")


def stage_line(stage: Stage) -> str:
    """Return a stage as one line of text."""
    left = time_left(stage)
    return f"  {MARKS[stage.state]} {stage.name:<10} {_detail(stage)}{f'; {left}' if left else ''}".rstrip()


def _detail(stage: Stage) -> str:
    loss = f"loss {stage.loss}" if stage.loss else ""
    return "; ".join(text for text in (stage.detail, stage.step, loss) if text)


def time_left(stage: Stage) -> str:
    """Return the estimated time left of a running stage as text."""
    if stage.seconds_left is None or stage.state != "running":
        return ""
    return f"about {duration(stage.seconds_left)} left"


def duration(seconds: float) -> str:
    """Return a time in the largest unit in which it is at least 2."""
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
