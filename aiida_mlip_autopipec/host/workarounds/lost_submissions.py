"""Tasks of children that were submitted while the broker was dead, sent again by the worker that takes over the parent.

In aiida-core 2.9 a worker whose broker has just died may still submit a child process and store that it waits for it. The
task of the child is lost, and the parent would wait for ever.
"""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.engine import ProcessState

from ..tasks import is_embedded, processes_with_task


def send_again(process: Any) -> None:
    """Send the tasks of children for which a process waits and which no worker has or will receive.

    :param process: a process that a worker has loaded from its checkpoint.
    """
    children = [awaitable.pk for awaitable in getattr(process, "_awaitables", ())]
    if not children or not process.runner.is_daemon_runner or not is_embedded():
        return
    for pk in set(children) - processes_with_task():
        if orm.load_node(pk).process_state is ProcessState.CREATED:
            process.runner.controller.continue_process(pk, nowait=False, no_reply=True)
