"""Termination of a worker of AiiDA's daemon that has lost its connection to the broker.

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


class MonitorsConnection:
    """Base class of processes: a worker monitors its connection as soon as it has run one of them."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        speed.install()
        super().__init__(*arguments, **keywords)

    def load_instance_state(self, saved_state: Any, load_context: Any) -> None:
        """Load the process from its checkpoint, which only workers do, and monitor the connection."""
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
