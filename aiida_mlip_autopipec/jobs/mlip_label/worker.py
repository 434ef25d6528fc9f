"""The process that computes labels: it can be killed at any time, and if it crashes, the label of its structure has failed."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

from ase import Atoms

from .calculator import is_reusable, make_calculator
from .labels import label_batch, label_structure, parameters_of
from .outcome import Outcome


def _first_calculator(method: dict) -> tuple[Any, bool]:
    """Return a calculator for all structures, or None if each gets its own; and whether they share it."""
    calculator = make_calculator(method, parameters_of(0, method))
    reusable = is_reusable(calculator) and not method.get("kinds")
    return (calculator if reusable else None), reusable


def work(connection: Connection, parent_connection: Connection, method: dict) -> None:
    """Run a worker: report whether the calculator can be created, then label structures until the connection closes."""
    # An inherited open copy would keep the pipe open, and the worker would survive a killed parent.
    parent_connection.close()
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        calculator, reusable = _first_calculator(method)
    except BaseException as error:
        traceback.print_exc(file=sys.stdout)
        connection.send(Outcome(failure="calculator_unavailable", reason=f"{type(error).__name__}: {error}"))
        return
    connection.send(Outcome())
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            task = connection.recv()
            if isinstance(task, list):
                connection.send(label_batch(task, calculator))
                continue
            index, atoms = task
            atoms.calc = calculator
            outcome = label_structure(atoms, index, method)
            # A calculator that failed may be in any state: the next structure gets a new one.
            calculator = atoms.calc if reusable and not outcome.failure else None
            connection.send(outcome)


class Worker:
    """A worker process that labels structures and can be killed at any time."""

    def __init__(self, method: dict) -> None:
        context = multiprocessing.get_context("fork")
        self._connection, worker_connection = context.Pipe()
        self._process = context.Process(target=work, args=(worker_connection, self._connection, method), daemon=False)
        self._process.start()
        worker_connection.close()

    def started(self, seconds: float | None) -> Outcome:
        """Wait until the calculator is created; return an outcome with a failure if it is not."""
        return self._receive(seconds)

    def label_batch(self, structures: Sequence[Atoms], seconds: float | None) -> list[Outcome] | Outcome | None:
        """Label structures at the same time; None if the calculator cannot, and a failure if it crashes or hangs."""
        try:
            self._connection.send(list(structures))
        except (BrokenPipeError, ConnectionResetError):
            return self._crash()
        return self._receive(seconds)

    def label(self, index: int, atoms: Atoms, seconds: float | None) -> Outcome:
        """Label a structure within a time limit."""
        try:
            self._connection.send((index, atoms))
        except (BrokenPipeError, ConnectionResetError):
            return self._crash()
        return self._receive(seconds)

    def _receive(self, seconds: float | None) -> Any:
        if not wait([self._connection, self._process.sentinel], seconds):
            return Outcome(failure="timeout", reason=f"no result within {seconds:.3g} s")
        try:
            # The pipe may hold the result of a worker that has ended since.
            return self._connection.recv() if self._connection.poll() else self._crash()
        except (EOFError, ConnectionResetError):
            return self._crash()

    def _crash(self) -> Outcome:
        self._process.join(5)
        status = self._process.exitcode
        if status is not None and status < 0:
            return Outcome(failure="crash", reason=f"the calculator was killed by {signal.Signals(-status).name}")
        return Outcome(failure="crash", reason=f"the calculator ended its process with status {status}")

    def kill(self) -> None:
        """Kill the worker and its child processes."""
        self._connection.close()
        if self._process.pid is not None and self._process.is_alive():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.kill()
        self._process.join()
