"""AiiDA's daemon: start it if none is running, and wait until its workers are connected to the broker."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
from pathlib import Path

import psutil
from aiida.engine.daemon.client import DaemonClient, DaemonTimeoutException, get_daemon_client
from aiida.manage.configuration import Profile, get_config, get_config_option, load_profile

from ..config.errors import UserError
from .processes import DaemonProcesses, children_of, find_processes, has_terminal
from .profile import EMBEDDED_BROKER, exclusive_lock
from .termination import remove_broker_files, terminate, terminate_daemon
from .verdi import command_line

TIMEOUT = 45.0
"""Seconds to wait for a supervisor to start its broker, and for workers to connect to it."""

MIN_FREE_SPACE = 1_000_000
"""Free disk space (bytes) required to start a daemon."""

START_INTERVAL = 3.0
"""Maximum time (s) between the starts of processes that a supervisor starts together; replacing one takes longer."""


def ensure_daemon() -> DaemonClient:
    """Return the client of the running daemon; start a daemon if there is none.

    Remaining processes of a daemon whose supervisor was killed are terminated first. The task queue is on disk, so that
    the new daemon receives each task once.

    :raises UserError: if the profile has no broker, the disk is full, or the daemon does not start.
    """
    profile = load_profile()
    if profile.process_control_backend is None:
        raise UserError(
            f"profile '{profile.name}' has no broker, so it cannot have a daemon; "
            f"configure one by `verdi profile configure-broker core.zeromq {profile.name}`, or choose another profile "
            "by --profile"
        )
    _check_space(Path(get_config().dirpath))
    client = get_daemon_client(profile.name)
    with exclusive_lock():
        supervised = _has_embedded_broker(profile)
        found = find_processes(client)
        if not supervised:
            found = found.without(found.brokers)
        supervisor = _supervisor(client, found)
        if supervisor is None or (supervised and not _has_broker(client, supervisor)):
            _restart(client, found, supervised)
        else:
            terminate(list(_orphans(found, supervisor)))
            if supervised:
                # At least 1: a worker that has just died is replaced.
                _ensure_connected(client, max(1, len(children_of(supervisor, found.workers))))
    return client


def _check_space(folder: Path) -> None:
    """Check the free disk space: on a full disk, an embedded broker and its workers stop.

    :raises UserError: if the disk is full.
    """
    if shutil.disk_usage(folder).free < MIN_FREE_SPACE:
        raise UserError(f"the disk of {folder} is full, so AiiDA's daemon cannot work: free some space and try again")


def is_running() -> bool:
    """Tell whether the daemon of the profile is running."""
    client = get_daemon_client()
    return _supervisor(client, find_processes(client)) is not None


def broker_folder() -> Path:
    """Return the folder of queue and address of the profile's embedded broker."""
    return Path(get_config().filepaths(load_profile())["broker_service"]["dir"])


def _has_embedded_broker(profile: Profile) -> bool:
    """Tell whether the daemon of a profile starts its own broker."""
    supervised = profile.process_control_config.get("supervised_by_daemon", True)
    return profile.process_control_backend == EMBEDDED_BROKER and bool(supervised)


def _supervisor(client: DaemonClient, found: DaemonProcesses) -> psutil.Process | None:
    """Return the running supervisor of the pid file, which remains if a supervisor is killed."""
    pid = client.get_daemon_pid()
    return next((process for process in found.supervisors if process.pid == pid), None)


def _orphans(found: DaemonProcesses, supervisor: psutil.Process | None) -> DaemonProcesses:
    """Return orphaned processes: without supervisor, and not started by hand."""
    supervised_processes = [supervisor, *children_of(supervisor, found)] if supervisor is not None else []
    interactive = [process for process in found if has_terminal(process)]
    return found.without([*supervised_processes, *interactive])


def _has_broker(client: DaemonClient, supervisor: psutil.Process) -> bool:
    """Wait until a supervisor has its own broker and tell whether it has; it soon replaces a broker that was killed.

    A supervisor that finds a foreign broker at its start starts none, and would not replace it.
    """
    deadline = time.monotonic() + TIMEOUT
    while True:
        brokers = find_processes(client).brokers
        own = children_of(supervisor, brokers)
        if own or brokers:
            return bool(own) and len(brokers) == 1
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)


def _restart(client: DaemonClient, found: DaemonProcesses, supervised: bool) -> None:
    """Terminate all processes of a daemon, and start a daemon with as many workers.

    :raises UserError: if a process does not terminate, or the new daemon does not start.
    """
    terminate_daemon(found, client, broker_folder())
    ended = set(found)
    if remaining := [process for process in find_processes(client) if process in ended]:
        numbers = ", ".join(str(process.pid) for process in remaining)
        raise UserError(f"processes of an earlier daemon cannot be terminated, so no new daemon is started: {numbers}")
    if supervised:
        remove_broker_files(broker_folder())
    workers = max(get_config_option("daemon.default_workers"), min(len(found.workers), psutil.cpu_count() or 1))
    command = client.cmd_start_daemon(workers)
    started = subprocess.run(
        [*command_line(), *command[1:]], env=client.get_env(), capture_output=True, text=True, check=False
    )
    deadline = time.monotonic() + TIMEOUT
    while started.returncode == 0 and _supervisor(client, find_processes(client)) is None:
        if time.monotonic() > deadline:
            raise UserError(f"the daemon has not started in {TIMEOUT:.0f} s: see {client.circus_log_file}")
        time.sleep(0.1)
    if started.returncode:
        raise UserError(f"the daemon does not start: {started.stderr.strip() or started.stdout.strip()}")
    client._write_version_file()
    if supervised:
        _ensure_connected(client, workers)


def is_outdated(client: DaemonClient) -> bool:
    """Tell whether a daemon was started before the last change of this package, and so runs outdated code."""
    pid = client.get_daemon_pid()
    newest = max(path.stat().st_mtime for path in Path(__file__).parents[1].rglob("*.py"))
    try:
        return pid is not None and psutil.Process(pid).create_time() < newest
    except psutil.Error:
        return False


def _ensure_connected(client: DaemonClient, number: int) -> None:
    """Wait until a number of workers are connected to the embedded broker; restart the workers if they are not.

    Workers started by plain `verdi daemon start` may have read an empty or outdated address (see
    :mod:`~aiida_mlip_autopipec.host.workarounds.lost_broker`). Workers older than the broker have an outdated address.

    :raises UserError: if they do not connect after the restart either.
    """
    if not _have_outdated_address(client) and _wait_for_workers(client, number):
        return
    with contextlib.suppress(DaemonTimeoutException):
        # After the timeout, the restart continues in the background.
        client.restart_daemon(wait=True, timeout=round(TIMEOUT))
    if not _wait_for_workers(client, number):
        raise UserError("the daemon's workers do not reach its broker: run `verdi daemon restart`, and try again")


def _have_outdated_address(client: DaemonClient) -> bool:
    """Tell whether a worker was started before the broker, and not together with it."""
    found = find_processes(client)
    try:
        broker = min(process.create_time() for process in found.brokers)
        return any(process.create_time() < broker - START_INTERVAL for process in found.workers)
    except (ValueError, psutil.Error):
        return False


def _wait_for_workers(client: DaemonClient, number: int) -> bool:
    """Wait until a number of workers are connected to the embedded broker; tell whether they are."""
    deadline = time.monotonic() + TIMEOUT
    while _count_connected(client) < number:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def _count_connected(client: DaemonClient) -> int:
    """Return the number of workers connected to the running embedded broker, ignoring the status of a killed one."""
    remaining = {process.pid for process in find_processes(client).brokers}
    try:
        status = json.loads((broker_folder() / "broker.status").read_text())
        return int(status["task_subscribers"]) if status["pid"] in remaining else 0
    except (OSError, ValueError, KeyError):
        return 0
