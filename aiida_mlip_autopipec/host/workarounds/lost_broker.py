"""Termination of workers that have lost the embedded broker; the daemon replaces them by connected workers.

In aiida-core 2.9 a worker reads the address of the broker only once. If the broker is replaced by one with another
address, the worker keeps running, while the new broker gives its tasks to other workers, and its own submissions are
lost. The same happens to a worker that was suspended for some seconds, which the broker takes for dead. And a worker
that starts before the new broker reads an outdated address or an empty file.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from . import are_needed

_LOGGER = logging.getLogger(__name__)

STEP_SECONDS = 5.0
"""Time to finish the current step of a process, before a new broker gives the process to another worker."""

_monitors: dict[int, tuple[asyncio.Task[None], Any]] = {}
"""Monitoring task and socket of each monitored communicator, by id."""


def install() -> None:
    """Monitor all communicators of this worker, and ignore the address of a dead broker."""
    if not are_needed():
        return
    from aiida.brokers.zeromq.broker import ZeromqBroker
    from aiida.brokers.zeromq.communicator import ZeromqCommunicator

    start, sockets_path = ZeromqCommunicator._async_start, ZeromqBroker._get_sockets_path

    async def start_monitored(self: ZeromqCommunicator, ready: Future[bool]) -> None:
        await start(self, ready)
        _start_monitor(self)

    def reachable_sockets_path(self: ZeromqBroker) -> Path | None:
        path = sockets_path(self)
        return path if path is not None and path.name and self.check_service_reachable() else None

    ZeromqCommunicator._async_start = start_monitored
    ZeromqBroker._get_sockets_path = reachable_sockets_path


def monitor_communicator(communicator: Any) -> None:
    """Monitor a communicator that has started already."""
    if are_needed() and id(communicator) not in _monitors:
        communicator._run_on_loop(lambda: _start_monitor(communicator))


def _start_monitor(communicator: Any) -> None:
    """Start to monitor, in the event loop of the communicator."""
    import zmq

    monitor = communicator._dealer.get_monitor_socket(zmq.EVENT_DISCONNECTED)
    _monitors[id(communicator)] = (asyncio.ensure_future(_terminate_on_disconnect(communicator, monitor)), monitor)
    cleanup = communicator._async_cleanup

    async def cleanup_with_monitor() -> None:
        task, socket = _monitors.pop(id(communicator))
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        communicator._dealer.disable_monitor()
        socket.close(linger=0)
        await cleanup()

    communicator._async_cleanup = cleanup_with_monitor


async def _terminate_on_disconnect(communicator: Any, monitor: Any) -> None:
    await monitor.recv_multipart()
    if communicator.is_closed():
        return
    _LOGGER.error("lost the broker: this worker terminates, its tasks go to other workers")
    from aiida.manage import get_manager

    runner = get_manager()._runner
    if runner is None:
        os._exit(1)
    runner.loop.call_soon_threadsafe(os._exit, 1)
    timer = threading.Timer(STEP_SECONDS, os._exit, [1])
    timer.daemon = True
    timer.start()
