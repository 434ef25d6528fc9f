"""Processes that the daemon has lost: their task is gone from the broker, so no worker will ever take them up."""

from __future__ import annotations

import time
import uuid

from aiida import orm
from aiida.brokers.zeromq import ZeromqBroker
from aiida.brokers.zeromq.queue import PersistentQueue
from aiida.engine.processes.control import get_process_tasks
from aiida.manage import get_manager
from kiwipy import UnroutableError
from plumpy.futures import unwrap_kiwi_future
from plumpy.process_comms import create_continue_body

from ..daemon import ensure_daemon
from .progress import active_of

REPLY_SECONDS = 5.0
"""How long a worker that is busy may take to answer; one that is busier still has the process."""

STOP_SECONDS = 120
"""How long a busy daemon may take to end."""

LOOKS, LOOK_SECONDS = 2, 3.0
"""How often to look whether any worker has a process, and the time between: one may be about to take it."""


def unreachable_of(run: orm.WorkChainNode) -> list[orm.ProcessNode]:
    """Return the processes of a run that have not ended, and that no worker answers for."""
    found = active_of(run)
    for look in range(LOOKS):
        if look and found:
            time.sleep(LOOK_SECONDS)
        found = [node for node in found if not node.is_terminated and not _is_reachable(node)]
    return found


def _is_reachable(node: orm.ProcessNode) -> bool:
    try:
        future = get_manager().get_process_controller().get_status(node.pk)
        unwrap_kiwi_future(future).result(timeout=REPLY_SECONDS)
    except UnroutableError:
        return False
    except Exception as error:
        # The embedded broker says it in words.
        return "Recipient not found" not in str(error)
    return True


def send_again(nodes: list[orm.ProcessNode]) -> list[orm.ProcessNode]:
    """Give processes to the daemon again if their tasks are lost, and return those.

    The daemon is started anew: only while no worker holds any task does the broker show all it has, and a process that two
    workers have would be done twice.
    """
    client = ensure_daemon()
    client.stop_daemon(wait=True, timeout=STOP_SECONDS)
    try:
        broker = get_manager().get_broker()
        tasks = set(get_process_tasks(broker))
        lost = [node for node in nodes if node.pk not in tasks and not node.is_terminated]
        for node in lost:
            if isinstance(broker, ZeromqBroker):
                # It is a part of the daemon, and reads its queue from the disk when that starts.
                queue = PersistentQueue(broker._storage_path / "tasks")
                queue.push(
                    uuid.uuid4().hex, {"body": create_continue_body(pid=node.pk, nowait=False), "no_reply": True}
                )
            else:
                get_manager().get_process_controller().continue_process(node.pk, nowait=False, no_reply=True)
    finally:
        ensure_daemon()
    return lost
