"""AiiDA's daemon: started where none runs, with workers that the broker knows."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path

import psutil
from aiida.engine.daemon.client import (
    DaemonClient,
    DaemonNotRunningException,
    DaemonStalePidException,
    DaemonTimeoutException,
    get_daemon_client,
)
from aiida.manage.configuration import get_config, get_config_option, load_profile

from .config.read import ConfigError
from .environment import EMBEDDED_BROKER, alone

PATIENCE = 45.0
"""Seconds that workers are given to be known to the embedded broker."""


def ensure_daemon() -> DaemonClient:
    """Return the client of a running daemon, starting one if there is none.

    :raises ConfigError: if the profile has no broker, so that it can have no daemon.
    """
    profile = load_profile()
    if profile.process_control_backend is None:
        raise ConfigError(
            f"profile '{profile.name}' has no broker, so runs cannot be given to a daemon; "
            f"give it one by `verdi profile configure-broker core.zeromq {profile.name}`, or choose another by --profile"
        )
    client = get_daemon_client(profile.name)
    with alone():
        if not _is_alive(client):
            embedded = Path(get_config().filepaths(profile)["broker_service"]["dir"])
            _forget_dead_broker(embedded)
            workers = get_config_option("daemon.default_workers")
            client.start_daemon(workers)
            if profile.process_control_backend == EMBEDDED_BROKER:
                _await_workers(client, embedded, workers)
    return client


def is_outdated(client: DaemonClient) -> bool:
    """Tell whether a daemon was started before this package was last changed: it runs on with what it has loaded."""
    pid = client.get_daemon_pid()
    newest = max(path.stat().st_mtime for path in Path(__file__).parent.rglob("*.py"))
    try:
        return pid is not None and psutil.Process(pid).create_time() < newest
    except psutil.Error:
        return False


def _is_alive(client: DaemonClient) -> bool:
    """Tell whether the daemon runs, by asking it: its pid file outlives a daemon that was killed."""
    try:
        client.get_status()
    except (DaemonNotRunningException, DaemonStalePidException):
        return False
    except DaemonTimeoutException:
        # It is there, and busy.
        return True
    return True


def _forget_dead_broker(folder: Path) -> None:
    """Remove what the embedded broker of a daemon that was killed, or of a machine that died, left behind.

    Else workers and commands may read its address before the new one writes its own, and talk to nobody for ever.
    """
    for name in ("broker.sockets", "broker.pid", "broker.status"):
        (folder / name).unlink(missing_ok=True)


def _await_workers(client: DaemonClient, folder: Path, number: int) -> None:
    """Wait until the embedded broker knows so many workers; start them anew if it does not.

    A worker that looks for the broker's address in the moment in which that is written reads an empty file, and waits for
    nobody for ever (aiida-core 2.9).

    :raises ConfigError: if it does not know them then either.
    """
    if _are_known(folder, number):
        return
    with contextlib.suppress(DaemonTimeoutException):
        # It goes on if nobody waits for it.
        client.restart_daemon(wait=True, timeout=round(PATIENCE))
    if not _are_known(folder, number):
        raise ConfigError("the daemon's workers do not reach its broker: run `verdi daemon restart`, and try again")


def _are_known(folder: Path, number: int) -> bool:
    """Wait until the embedded broker knows so many workers; tell whether it does."""
    deadline = time.monotonic() + PATIENCE
    while _workers_known(folder) < number:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def _workers_known(folder: Path) -> int:
    """Return how many workers take tasks from the embedded broker."""
    try:
        return int(json.loads((folder / "broker.status").read_text())["task_subscribers"])
    except (OSError, ValueError, KeyError):
        return 0
