"""What a worker of AiiDA's daemon does when its connection to RabbitMQ is closed: it ends at once.

RabbitMQ gives what a lost worker had to do to others. One that went on all the same would do it a second time, beside them:
jobs submitted twice, processes that fail for outputs that exist. And one that is stopped may be given, after it has closed its
connection, what another that is stopped gave back: AiiDA would mark such a process as failed, for it can tell nobody of it.
"""

from __future__ import annotations

import asyncio
import logging
import os
from typing import Any

from aiida.manage import get_manager

_LOGGER = logging.getLogger(__name__)
_watched: list[Any] = []
"""The connections that are watched."""


class EndsWithBroker:
    """Base of processes: a worker that has one of them to do watches its connection from then on."""

    def load_instance_state(self, saved_state: Any, load_context: Any) -> None:
        """Take up the process where it was; only workers do so."""
        communicator = get_manager().get_communicator()
        # The broker of an embedded profile is a part of the daemon.
        if hasattr(communicator, "add_close_callback"):
            if communicator.is_closed():
                os._exit(1)
            if communicator not in _watched:
                communicator.add_close_callback(_end)
                _watched.append(communicator)
        super().load_instance_state(saved_state, load_context)  # type: ignore[misc]


def _end(_: Any, reason: BaseException | None) -> None:
    if not isinstance(reason, asyncio.CancelledError):
        _LOGGER.error("lost the connection to RabbitMQ (%r): this worker ends, its tasks go to others", reason)
    os._exit(1)
