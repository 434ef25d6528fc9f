"""The tasks of the embedded broker: it keeps a file for each, until the process of the task has ended."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from typing import Any

from aiida import orm
from aiida.brokers.zeromq import ZeromqBroker
from aiida.engine import ProcessState
from aiida.manage import get_manager

from .daemon import broker_folder


def is_embedded() -> bool:
    """Tell whether the profile has the embedded broker, whose tasks can be read."""
    return isinstance(get_manager().get_broker(), ZeromqBroker)


def processes_with_task() -> set[int]:
    """Return the PKs of all processes whose task waits in the queue or is held by a worker.

    The files are read here because AiiDA's own reader moves them, which a running broker must do alone.
    """
    found = set()
    # Twice: a file that is moved between two folders at this moment may be seen in neither.
    for _ in range(2):
        for path in (broker_folder() / "storage" / "tasks").glob("*/*.json"):
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                found.add(int(json.loads(path.read_text())["body"]["args"]["pid"]))
    return found


def send_missing_tasks(pks: Iterable[int], controller: Any) -> None:
    """Send the tasks of processes that no worker has begun and that have no task in the embedded broker.

    :param controller: the process controller of the runner.
    """
    if not is_embedded():
        return
    for pk in set(pks) - processes_with_task():
        if orm.load_node(pk).process_state is ProcessState.CREATED:
            controller.continue_process(pk, nowait=False, no_reply=True)
