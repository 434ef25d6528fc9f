"""A program locks its folder, and writes the reason of its failure."""

from __future__ import annotations

import json
import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mlip_common.errors import EXIT_STATUSES, ProgramError
from mlip_common.program import FAILURE, run_program

from ..waiting import PATIENCE

RESULT = "result.txt"
CONTEXT = multiprocessing.get_context("fork")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def do_slowly(fails: bool = False) -> None:
    with Path("done.txt").open("a") as done:
        done.write("x")
    # Both programs are running before the first has finished.
    until = time.monotonic() + PATIENCE
    while not Path("both").exists() and time.monotonic() < until:
        time.sleep(0.01)
    if fails and not Path(RESULT).exists():
        Path(RESULT).write_text("a part")
        raise ProgramError("out_of_time", "not all was done")
    Path(RESULT).write_text("all")


def run_twice(work: Callable[[], None]) -> list[int]:
    """Run a program twice at the same time; return both exit statuses."""
    statuses = CONTEXT.SimpleQueue()
    programs = [CONTEXT.Process(target=lambda: statuses.put(run_program(work, RESULT))) for _ in range(2)]
    for program in programs:
        program.start()
    while not Path("done.txt").exists():
        time.sleep(0.01)
    time.sleep(0.3)
    Path("both").touch()
    for program in programs:
        program.join()
    return [statuses.get(), statuses.get()]


def test_two_copies_at_the_same_time_do_the_work_once() -> None:
    assert run_twice(do_slowly) == [0, 0]
    assert Path("done.txt").read_text() == "x"


def test_the_second_copy_finishes_the_work_of_a_first_that_failed() -> None:
    assert run_twice(lambda: do_slowly(fails=True)) == [EXIT_STATUSES["out_of_time"], 0]
    assert (Path("done.txt").read_text(), Path(RESULT).read_text()) == ("xx", "all")
    assert not FAILURE.exists()


def test_copy_that_starts_later_does_the_work_again() -> None:
    Path("both").touch()
    assert [run_program(do_slowly, RESULT) for _ in range(2)] == [0, 0]
    assert Path("done.txt").read_text() == "xx"


def test_a_walltime_that_ends_while_another_copy_runs_is_a_failure() -> None:
    with CONTEXT.Pool(1) as pool:
        first = pool.apply_async(run_program, (do_slowly, RESULT))
        while not Path("done.txt").exists():
            time.sleep(0.01)
        assert run_program(do_slowly, RESULT, walltime=0.0) == EXIT_STATUSES["out_of_time"]
        assert json.loads(FAILURE.read_text())["kind"] == "out_of_time"
        Path("both").touch()
        assert first.get() == 0
    assert Path("done.txt").read_text() == "x"


def test_an_unexpected_exception_is_written_as_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_program(lambda: [][0], RESULT) == EXIT_STATUSES["unexpected"]
    assert json.loads(FAILURE.read_text())["message"] == "IndexError: list index out of range"
    assert "Traceback" in capsys.readouterr().out
