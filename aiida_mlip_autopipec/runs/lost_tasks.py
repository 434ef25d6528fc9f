"""Lost processes: processes that no worker runs and that have no task in the broker, so that no worker will run them.

The embedded broker keeps a file for each task until its process has terminated. A process without such a file is lost,
even if a worker still answers for it (a step may have failed in that worker). RabbitMQ does not show the tasks that
workers hold: there a process is lost if no worker answers for it and it is not in the queue of a stopped daemon.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Sequence
from concurrent.futures import TimeoutError

from aiida import orm
from aiida.engine.processes.control import get_process_tasks
from aiida.manage import get_manager
from kiwipy import UnroutableError
from plumpy.futures import unwrap_kiwi_future

from ..config.errors import UserError
from ..host.daemon import ensure_daemon
from ..host.tasks import is_embedded, processes_with_task
from .progress import START_SECONDS, active_of

REPLY_SECONDS = 5.0
"""Timeout for the answer of a worker; a worker that is busy for longer is assumed to run the process."""

STOP_SECONDS = 120
"""Timeout for stopping a busy daemon."""

CHECKS, CHECK_SECONDS = 2, 3.0
"""Number of checks whether a worker runs a process, and seconds between them: a worker may be about to receive it."""


def lost_of(run: orm.WorkChainNode) -> list[orm.ProcessNode]:
    """Return the processes of a run that seem to be lost: not terminated, and without worker or task."""
    found = active_of(run)
    for check in range(CHECKS):
        if check and found:
            time.sleep(CHECK_SECONDS)
        found = [node for node in found if not node.is_terminated and not _is_held(node)]
    return found


def certainly_lost_of(run: orm.WorkChainNode) -> list[orm.ProcessNode]:
    """Return the processes of a run that are certainly lost, by a single check; with RabbitMQ always none."""
    if not is_embedded():
        return []
    now = datetime.datetime.now(datetime.timezone.utc)
    old = [node for node in active_of(run) if (now - node.mtime).total_seconds() > START_SECONDS]
    return [node for node in old if not have_task([node]) and not node.is_terminated and _has_worker(node) is False]


def have_task(nodes: Sequence[orm.ProcessNode]) -> bool:
    """Tell whether all given processes have a task in the embedded broker, queued or given to a worker."""
    return {node.pk for node in nodes} <= processes_with_task()


def _is_held(node: orm.ProcessNode) -> bool:
    return have_task([node]) if is_embedded() else _has_worker(node) is not False


def _has_worker(node: orm.ProcessNode) -> bool | None:
    """Tell whether a worker answers for a process; None if unknown."""
    try:
        future = get_manager().get_process_controller().get_status(node.pk)
        unwrap_kiwi_future(future).result(timeout=REPLY_SECONDS)
    except UnroutableError:
        return False
    except Exception as error:
        # The embedded broker reports this only in the message.
        return False if "Recipient not found" in str(error) else None
    return True


def resubmit(nodes: list[orm.ProcessNode]) -> list[orm.ProcessNode]:
    """Submit the lost ones of some processes to the daemon again, and return them.

    :raises UserError: if another program than the daemon runs one of them, or the broker does not answer.
    """
    return _resubmit_to_embedded(nodes) if is_embedded() else _resubmit_to_rabbitmq(nodes)


def _resubmit_to_embedded(nodes: list[orm.ProcessNode]) -> list[orm.ProcessNode]:
    if any(_has_worker(node) is not False for node in nodes):
        # The step failed in that worker, or still runs.
        ensure_daemon().restart_daemon(wait=True, timeout=STOP_SECONDS)
        ensure_daemon()
    lost = [node for node in nodes if not node.is_terminated and not have_task([node])]
    foreign = [node for node in lost if _has_worker(node) is not False]
    if foreign:
        names = ", ".join(f"{node.process_label} {node.pk}" for node in foreign)
        raise UserError(
            f"{names}: a program other than the daemon still executes this process (for example `verdi run`); wait until it "
            "ends, or stop it"
        )
    for node in lost:
        future = get_manager().get_process_controller().continue_process(node.pk, nowait=False, no_reply=False)
        try:
            future.result(timeout=REPLY_SECONDS)
        except TimeoutError as error:
            raise UserError(f"the broker does not accept {node.process_label} {node.pk}: try again later") from error
    return lost


def _resubmit_to_rabbitmq(nodes: list[orm.ProcessNode]) -> list[orm.ProcessNode]:
    """Resubmit while the daemon is stopped: RabbitMQ shows all tasks only if no worker holds one."""
    client = ensure_daemon()
    client.stop_daemon(wait=True, timeout=STOP_SECONDS)
    try:
        tasks = set(get_process_tasks(get_manager().get_broker()))
        lost = [node for node in nodes if node.pk not in tasks and not node.is_terminated]
        for node in lost:
            get_manager().get_process_controller().continue_process(node.pk, nowait=False, no_reply=True)
    finally:
        ensure_daemon()
    return lost
