"""Termination of a daemon without losing tasks or giving a task to two workers."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
from aiida.engine.daemon.client import DaemonClient

from .processes import DaemonProcesses

STEP_SECONDS = 20.0
"""Time for workers to finish their current steps."""

BROKER_SECONDS = 12.0
"""Time for the broker to read the last messages of workers and to terminate; it writes its status every 5 s."""


def terminate_daemon(processes: DaemonProcesses, client: DaemonClient, broker_folder: Path) -> None:
    """Terminate a daemon: first supervisors, which would restart the others, then workers, then the broker.

    The broker is suspended while workers terminate: else it would give a returned task to another terminating worker.
    """
    for broker in processes.brokers:
        with contextlib.suppress(psutil.Error):
            broker.suspend()
    try:
        _kill(processes.supervisors)
        terminate(processes.workers)
    finally:
        for broker in processes.brokers:
            with contextlib.suppress(psutil.Error):
                broker.resume()
    if processes.brokers:
        _wait_for_status(broker_folder, time.time())
    terminate([*processes.brokers, *processes.others])
    _remove_supervisor_files(client)


def terminate(processes: Sequence[psutil.Process]) -> None:
    """Terminate processes, and kill those that do not react; psutil excludes processes with a reused PID."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    _, remaining = psutil.wait_procs(processes, timeout=STEP_SECONDS)
    _kill(remaining)


def remove_broker_files(folder: Path) -> None:
    """Remove the files of an embedded broker that was killed or lost in a crash; only while no broker is running.

    Else workers and commands may read the outdated address before the new broker writes its own, and wait for ever.
    """
    with contextlib.suppress(OSError):
        sockets = Path((folder / "broker.sockets").read_text().strip())
        if sockets.name.startswith("aiida_zeromq_"):
            shutil.rmtree(sockets, ignore_errors=True)
    for name in ("broker.sockets", "broker.pid", "broker.status"):
        (folder / name).unlink(missing_ok=True)


def _kill(processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(processes, timeout=STEP_SECONDS)


def _wait_for_status(folder: Path, since: float) -> None:
    """Wait until the broker writes its status: then it has read all earlier messages."""
    deadline = time.monotonic() + BROKER_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, ValueError, KeyError):
            if float(json.loads((folder / "broker.status").read_text())["timestamp"]) > since:
                return
        time.sleep(0.2)


def _remove_supervisor_files(client: DaemonClient) -> None:
    """Remove the files of a killed supervisor."""
    Path(client.circus_pid_file).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        sockets = Path(Path(client.circus_socket_file).read_text().strip())
        if sockets.parent == Path(tempfile.gettempdir()) and all(path.is_socket() for path in sockets.iterdir()):
            shutil.rmtree(sockets, ignore_errors=True)
