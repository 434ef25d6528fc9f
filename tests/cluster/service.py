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
"""Daemons look up the name of their machine: whatever it is, they are told one that is a loopback address."""

AS_LOCALHOST_AND_INIT = 'hostname localhost && "$@" & wait'
"""The shell stays, as process 1 of the namespace, and reaps the orphans."""


class ClusterError(Exception):
    """The cluster is not in the requested state; the message says what to do."""


@dataclass(frozen=True)
class Service:
    """A command that stays in the foreground.

    With `whole`, it has a process namespace of its own, so that all it started (the logins of an SSH server, the jobs of
    a node) ends with it at once, as if the machine were switched off.
    """

    name: str
    folder: Path
    command: tuple[str, ...]
    is_ready: Callable[[], bool]
    user: str = "root"
    environment: Mapping[str, str] = field(default_factory=dict)
    whole: bool = False
    ends_by: signal.Signals = signal.SIGTERM

    @property
    def pid_file(self) -> Path:
        return self.folder / f"{self.name}.pid"

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    @property
    def pid(self) -> int | None:
        """The process, if it runs. An id that meanwhile belongs to another process does not count."""
        try:
            pid, started = self.pid_file.read_text().split()
        except (OSError, ValueError):
            return None
        return int(pid) if _started(int(pid)) == started else None

    def start(self) -> None:
        """Start the process, without waiting until it is ready; one that runs is left alone."""
        if self.pid is not None:
            return
        namespaces = ["--pid", "--fork", "--mount-proc", "--kill-child"] if self.whole else []
        shell = ["sh", "-c", AS_LOCALHOST_AND_INIT if self.whole else AS_LOCALHOST, self.name]
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
        """Wait until it serves.

        :raises ClusterError: if it ended, or does not serve in time.
        """
        deadline = time.monotonic() + seconds
        while self.pid is None or not self.is_ready():
            if self.pid is None or time.monotonic() > deadline:
                lines = self.log.read_text(errors="replace").splitlines()[-15:]
                state = "ended" if self.pid is None else f"does not serve after {seconds:.0f} s"
                raise ClusterError("\n".join([f"{self.name} {state}; the end of {self.log}:", *lines]))
            time.sleep(0.1)

    def stop(self, seconds: float = 20) -> None:
        """End the process and wait until it, and with `whole` all it started, is gone."""
        if (pid := self.pid) is not None:
            if self.whole:
                # `unshare` itself ends once the kernel has ended the last process of the namespace.
                for child in _children(pid):
                    _kill(child, signal.SIGKILL)
            else:
                _kill(pid, self.ends_by)
            deadline = time.monotonic() + seconds
            while self.pid is not None:
                if time.monotonic() > deadline:
                    _kill(pid, signal.SIGKILL)
                time.sleep(0.05)
        self.pid_file.unlink(missing_ok=True)


def as_user(user: str) -> list[str]:
    """Return the words before a command that run it as another user."""
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
