"""The display of a run: live on a terminal, otherwise as lines of text."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from collections.abc import Sequence

import pytest
from rich.console import Console

from aiida_mlip_autopipec.cli import display
from aiida_mlip_autopipec.cli.display import Shown, follow, stage_table
from aiida_mlip_autopipec.runs.progress import Stage

DATASET = Stage("dataset", "done", "90 training, 10 test")
LABELS = Stage("labels", "running", "30 of 120 labelled", 90.0, fraction=0.25)


def fit(step: str, left: float = 300.0, loss: str = "0.05") -> Stage:
    return Stage("fit", "running", "job 7 runs", left, fraction=0.5, step=step, loss=loss)


def drawn(*stages: Stage) -> str:
    console = Console(file=io.StringIO(), width=160)
    console.print(stage_table(stages))
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_labels_and_fit_have_bars_time_left_and_loss() -> None:
    done, labels, training = drawn(DATASET, LABELS, fit("step 2 of 6, design matrix, 40 %")).splitlines()
    assert "✓ dataset" in done and "━" not in done
    assert "━" in labels and "about 90 s left" in labels and "30 of 120 labelled" in labels
    assert "about 5 min left" in training and "step 2 of 6, design matrix, 40 %; loss 0.05" in training


def follow_stages(queries: Sequence[Sequence[Stage]], lines: Sequence[str] = ()) -> None:
    """Follow a run that has these stages at successive queries."""
    left = list(queries)
    follow(lambda with_logs: (left.pop(0), lines), lambda: len(left) == 1)


def test_plain_lines_show_each_step_of_a_fit_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(display, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(display, "LOG_SECONDS", 0.0)
    steps = ("design matrix, 40 %", "design matrix, 80 %", "choice of functions, 10 %")
    queries = [[DATASET, fit(f"step {(step[0] == 'c' and 3) or 2} of 6, {step}")] for step in steps]
    follow_stages(
        [[Stage("dataset", "waiting")], *queries, [DATASET, Stage("fit", "done", "60 functions")]], ["Paused: no"]
    )
    lines = capsys.readouterr().out.splitlines()
    assert not any("\x1b" in line for line in lines)
    assert [line.split(" s ", 1)[1].strip() for line in lines] == [
        "Paused: no",
        "✓ dataset    90 training, 10 test",
        "▸ fit        job 7 runs; step 2 of 6, design matrix, 40 %; loss 0.05; about 5 min left",
        "▸ fit        job 7 runs; step 3 of 6, choice of functions, 10 %; loss 0.05; about 5 min left",
        "✓ fit        60 functions",
    ]


def test_progress_from_the_logs_is_kept_until_they_are_read_again(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(display, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(display, "LOG_SECONDS", 1e9)
    bare = Stage("fit", "running", "job 7 runs")
    left = [[fit("step 2 of 6, design matrix, 40 %")], [bare], [Stage("fit", "done")]]

    def look(with_logs: bool) -> Shown:
        return left.pop(0), ()

    shown = [stages for stages, _ in display._Poll(look, lambda: len(left) == 1, object).shown()]
    assert [stages[0].step for stages in shown] == ["step 2 of 6, design matrix, 40 %"] * 2 + [""]


def test_stages_are_queried_only_after_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(display, "POLL_SECONDS", 0.0)
    changes = [1, 1, 1, 2, 2, 2]
    queries: list[bool] = []

    def look(with_logs: bool) -> Shown:
        queries.append(with_logs)
        return [DATASET], ()

    shown = list(display._Poll(look, lambda: len(changes) == 1, lambda: changes.pop(0)).shown())
    # The first time, after the change, and at the end.
    assert queries == [True, False, False] and len(shown) == 3


TERMINAL = """
from aiida_mlip_autopipec.cli.display import follow
from aiida_mlip_autopipec.runs.progress import Stage
left = [Stage("labels", "running", "30 of 120 labelled", 90.0, fraction=0.25), Stage("labels", "done", "120 of 120 labelled")]
follow(lambda with_logs: ([left.pop(0)], ()), lambda: len(left) == 1)
"""


def test_display_on_a_terminal_is_updated_in_place() -> None:
    controller, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "30"}
    process = subprocess.Popen([sys.executable, "-c", TERMINAL], stdout=terminal, env=environment)
    os.close(terminal)
    said = b""
    try:
        while chunk := os.read(controller, 65536):
            said += chunk
    except OSError:
        # The terminal is closed.
        pass
    finally:
        os.close(controller)
    assert process.wait() == 0
    text = said.decode()
    # Cursor up and line cleared: the display is replaced.
    assert "\x1b[1A" in text and "━" in text and "about 90 s left" in text and "120 of 120 labelled" in text
