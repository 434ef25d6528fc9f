"""Search for the processes of a profile's daemon; pid files are unreliable because they remain after a kill."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import psutil
from aiida.engine.daemon.client import DaemonClient
from aiida.manage.configuration import get_config

_KINDS = {"start-circus": "supervisors", "broker": "brokers", "worker": "workers"}
"""Kinds of processes by the command of `verdi daemon` that they run."""


@dataclass
class DaemonProcesses:
    """The running processes of the daemons of a profile.

    :ivar supervisors: start the other processes, and restart them.
    :ivar brokers: embedded brokers.
    :ivar others: processes for the statistics of supervisors.
    """

    supervisors: list[psutil.Process] = field(default_factory=list)
    brokers: list[psutil.Process] = field(default_factory=list)
    workers: list[psutil.Process] = field(default_factory=list)
    others: list[psutil.Process] = field(default_factory=list)

    def __iter__(self) -> Iterator[psutil.Process]:
        """Yield all processes."""
        yield from (*self.supervisors, *self.brokers, *self.workers, *self.others)

    def without(self, excluded: Iterable[psutil.Process]) -> DaemonProcesses:
        """Return the processes except some."""
        excluded_set = set(excluded)
        lists = ([process for process in kind if process not in excluded_set] for kind in vars(self).values())
        return DaemonProcesses(*lists)


def find_processes(client: DaemonClient) -> DaemonProcesses:
    """Return the processes of this user that belong to the daemon of a profile."""
    found = DaemonProcesses()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.uids().real != os.getuid() or process.status() == psutil.STATUS_ZOMBIE:
                continue
            words = process.cmdline()
            if client.circus_log_file in words:
                found.others.append(process)
            elif (kind := _kind(words)) and _profile(words) == client.profile.name and _has_same_configuration(process):
                getattr(found, _KINDS[kind]).append(process)
    return found


def children_of(parent: psutil.Process, processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Return the processes that a parent process has started."""
    return [process for process in processes if _parent(process) == parent.pid]


def has_terminal(process: psutil.Process) -> bool:
    """Tell whether a process runs in a terminal, so that a person has started it."""
    try:
        return process.terminal() is not None
    except psutil.Error:
        return False


def _kind(words: list[str]) -> str | None:
    """Return the command of `verdi daemon` in a command line, if any."""
    for previous, word in pairwise(words):
        if previous == "daemon" and word in _KINDS:
            return word
    return None


def _profile(words: list[str]) -> str | None:
    for option, value in pairwise(words):
        if option in ("-p", "--profile"):
            return value
    return get_config().default_profile_name


def _has_same_configuration(process: psutil.Process) -> bool:
    """Tell whether a process has the same AiiDA configuration as this process."""
    environment = process.environ()
    home = environment.get("HOME") or str(Path.home())
    here = Path(get_config().dirpath).resolve()
    # AiiDA uses the first existing folder, or the folder `.aiida` in it.
    paths = [Path(path).expanduser() for path in environment.get("AIIDA_PATH", home).split(":") if path]
    return any(here in (path.resolve(), (path / ".aiida").resolve()) for path in paths)


def _parent(process: psutil.Process) -> int | None:
    try:
        return process.ppid()
    except psutil.Error:
        return None
