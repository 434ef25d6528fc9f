"""The remaining time covers all steps and follows the speed of the machine."""

from __future__ import annotations

import re

import pytest
from mlip_common import progress as module
from mlip_common.progress import Progress


def progress_lines(capsys: pytest.CaptureFixture[str]) -> list[tuple[str, int, int, int]]:
    lines = re.findall(
        r"progress: step (\d+ of \d+, .*?), (\d+) %, (\d+) s left, (\d+) s of them after", capsys.readouterr().out
    )
    return [(step, int(percent), int(left), int(after)) for step, percent, left, after in lines]


@pytest.fixture
def moment(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that the program reads; tests may change it."""
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_time_left_includes_the_following_steps(capsys: pytest.CaptureFixture[str], moment: list[float]) -> None:
    progress = Progress()
    progress.plan({"first": 10.0, "second": 30.0})
    progress.begin("first")
    assert progress_lines(capsys) == [("1 of 2, first", 0, 40, 30)]
    # Twice as slow as estimated, apart from the second that represents the typical speed.
    moment[0] += 9.0
    progress.add(4.0)
    assert progress_lines(capsys) == [("1 of 2, first", 40, 72, 60)]


def test_a_step_that_ends_early_shortens_the_time_left(capsys: pytest.CaptureFixture[str], moment: list[float]) -> None:
    progress = Progress()
    progress.plan({"first": 1000.0, "second": 30.0})
    progress.begin("first")
    moment[0] += 4.0
    progress.add(4.0)
    progress.plan({"first": 1000.0, "second": 60.0})
    progress.begin("second")
    assert progress_lines(capsys)[-1] == ("2 of 2, second", 0, 60, 0)


def test_without_a_plan_nothing_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress()
    progress.begin("first")
    progress.add(1.0)
    progress.set_fraction(0.5)
    assert not progress_lines(capsys)


def test_logged_loss_is_the_smallest_of_the_step(capsys: pytest.CaptureFixture[str], moment: list[float]) -> None:
    progress = Progress()
    progress.plan({"first": 10.0})
    progress.begin("first")
    for loss in (0.3, 0.1, 0.2):
        moment[0] += 2.0
        progress.add(2.0, loss)
    losses = re.findall(r"loss (\S+)", capsys.readouterr().out)
    assert losses == ["0.3", "0.1", "0.1"]
