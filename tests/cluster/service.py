"""A service as an ordinary process with a pid file, by which it is stopped."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

AS_LOCALHOST = 'hostname localhost && exec "$@"'
"""Services look up the address of the host name; with this host name it is the loopback address."""

AS_LOCALHOST_AND_INIT = 'hostname localhost && "$@" & wait'
"""The shell remains as process 1 of the namespace, and removes ended orphans from the list of processes."""


class ClusterError(Exception):
    """The cluster is not in the requested state; the message says what to do."""


@dataclass(frozen=True)
class Service:
    """A command that stays in the foreground.

    With `isolated`, it has a process namespace of its own: if it is stopped, all its child processes (the logins of an SSH
    server, the jobs of a node) end too, as if the machine were switched off.
    """

    name: str
    folder: Path
    command: tuple[str, ...]
    is_ready: Callable[[], bool]
    user: str = "root"
    environment: Mapping[str, str] = field(default_factory=dict)
    isolated: bool = False
    stop_signal: signal.Signals = signal.SIGTERM

    @property
    def pid_file(self) -> Path:
        return self.folder / f"{self.name}.pid"

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    @property
    def pid(self) -> int | None:
        """The process id; None if the process has ended, also if another process has its id now."""
        try:
            pid, started = self.pid_file.read_text().split()
        except (OSError, ValueError):
            return None
        return int(pid) if _started(int(pid)) == started else None

    def start(self) -> None:
        """Start the process unless it runs; do not wait until it is ready."""
        if self.pid is not None:
            return
        namespaces = ["--pid", "--fork", "--mount-proc", "--kill-child"] if self.isolated else []
        shell = ["sh", "-c", AS_LOCALHOST_AND_INIT if self.isolated else AS_LOCALHOST, self.name]
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                ["unshare", "--uts", *namespaces, *shell, *as_user(self.user), *self.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=clean_environment(**self.environment),
                start_new_session=True,
            )
        self.pid_file.write_text(f"{process.pid} {_started(process.pid)}")

    def wait(self, seconds: float = 60) -> None:
        """Wait until the service is ready.

        :raises ClusterError: if it has ended, or is not ready in time.
        """
        deadline = time.monotonic() + seconds
        while self.pid is None or not self.is_ready():
            if self.pid is None or time.monotonic() > deadline:
                lines = self.log.read_text(errors="replace").splitlines()[-15:]
                state = "ended" if self.pid is None else f"is not ready after {seconds:.0f} s"
                raise ClusterError("\n".join([f"{self.name} {state}; the end of {self.log}:", *lines]))
            time.sleep(0.1)

    def stop(self, seconds: float = 20) -> None:
        """Stop the process, with `isolated` also its child processes, and wait until they have ended."""
        if (pid := self.pid) is not None:
            if self.isolated:
                # `unshare` ends after the last process of the namespace.
                for child in _children(pid):
                    _kill(child, signal.SIGKILL)
            else:
                _kill(pid, self.stop_signal)
            deadline = time.monotonic() + seconds
            while self.pid is not None:
                if time.monotonic() > deadline:
                    _kill(pid, signal.SIGKILL)
                time.sleep(0.05)
        self.pid_file.unlink(missing_ok=True)


def as_user(user: str) -> list[str]:
    """Return the beginning of a command line that runs a command as another user."""
    return [] if user == "root" else ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]


def clean_environment(**more: str) -> dict[str, str]:
    """Return an environment that does not depend on that of the caller."""
    return {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", **more}


def succeeds(*command: str, environment: Mapping[str, str] | None = None) -> bool:
    """Return whether a command succeeds within the timeout."""
    try:
        run = subprocess.run(
            command, capture_output=True, stdin=subprocess.DEVNULL, env=environment, timeout=10, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return run.returncode == 0


def _kill(pid: int, signal_number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal_number)


def _stat(pid: int) -> list[str] | None:
    """Return the fields of a running process after its name in /proc: state, parent, ..."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields


def _started(pid: int) -> str | None:
    """Return the start time of a running process: with the id, it identifies the process uniquely."""
    fields = _stat(pid)
    return None if fields is None else fields[19]


def _children(pid: int) -> list[int]:
    processes = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [process for process in processes if (fields := _stat(process)) and fields[1] == str(pid)]
