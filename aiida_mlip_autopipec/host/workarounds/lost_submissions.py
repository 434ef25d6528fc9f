"""Tasks of children that were submitted while the broker was dead, sent again by the worker that takes over the parent.

In aiida-core 2.9 a worker whose broker has just died may still submit a child process and store that it waits for it. The
task of the child is lost, and the parent would wait for ever.
"""

from __future__ import annotations

from typing import Any

from ..tasks import send_missing_tasks


def send_again(process: Any) -> None:
    """Send the tasks of children for which a process waits and which no worker has or will receive.

    :param process: a process that a worker has loaded from its checkpoint.
    """
    children = [awaitable.pk for awaitable in getattr(process, "_awaitables", ())]
    if children and process.runner.is_daemon_runner:
        send_missing_tasks(children, process.runner.controller)
