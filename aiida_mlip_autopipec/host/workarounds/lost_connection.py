"""Termination of a worker of AiiDA's daemon that has lost its connection to the broker, and the base class of processes by
which all workarounds reach every worker.

RabbitMQ gives the tasks of a lost worker to other workers. If the lost worker continued, it would run them a second
time: jobs are submitted twice, and processes fail because their outputs exist. Also, a stopping worker that has closed
its connection may still receive a task that another stopping worker returned; AiiDA would mark that process as failed.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from typing import Any

from aiida.brokers.zeromq.communicator import ZeromqCommunicator
from aiida.manage import get_manager

from . import lost_broker, lost_submissions, speed, waiting_database

_LOGGER = logging.getLogger(__name__)
_monitored: list[Any] = []
"""The monitored connections."""


class WithWorkarounds:
    """Base class of all processes of this package: it installs the workarounds in any worker that loads one of them.

    A program that creates such a process installs the workarounds for speed. A worker that loads one from its checkpoint
    also waits for a locked database, monitors its connection to the broker and terminates if it is lost, and sends the lost
    tasks of the children for which the process waits again.
    """

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        speed.install()
        super().__init__(*arguments, **keywords)

    def load_instance_state(self, saved_state: Any, load_context: Any) -> None:
        """Install the workarounds, and load the process from its checkpoint, which only workers do."""
        speed.install()
        communicator = get_manager().get_communicator()
        if "worker" in sys.argv and isinstance(communicator, ZeromqCommunicator):
            # Workers started by plain `verdi daemon start` have not installed the workarounds yet.
            waiting_database.install(None)
            lost_broker.monitor_communicator(communicator)
        if hasattr(communicator, "add_close_callback"):
            if communicator.is_closed():
                os._exit(1)
            if communicator not in _monitored:
                communicator.add_close_callback(_end)
                _monitored.append(communicator)
        super().load_instance_state(saved_state, load_context)  # type: ignore[misc]
        lost_submissions.send_again(self)


def _end(_: Any, reason: BaseException | None) -> None:
    if not isinstance(reason, asyncio.CancelledError):
        _LOGGER.error(
            "lost the connection to RabbitMQ (%r): this worker terminates, its tasks go to other workers", reason
        )
    os._exit(1)
