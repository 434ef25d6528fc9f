"""Periodic check of the embedded broker for dead workers, whose tasks it gives to other workers.

In aiida-core 2.9 the broker checks only when a connection is closed. At that moment a killed worker may still seem
alive; then its tasks are not given to another worker until some other connection is closed.
"""

from __future__ import annotations

import time

from . import are_needed

CHECK_SECONDS = 2.0
"""Time between two checks."""


def install() -> None:
    """Let the broker of this process check for dead workers periodically."""
    if not are_needed():
        return
    from aiida.brokers.zeromq.server import ZeromqBrokerServer

    poll = ZeromqBrokerServer._poll_once
    last_check = {"at": 0.0}

    def poll_and_check(self: ZeromqBrokerServer, timeout: float) -> bool:
        if time.monotonic() - last_check["at"] > CHECK_SECONDS:
            last_check["at"] = time.monotonic()
            self._probe_workers()
        return poll(self, timeout)

    ZeromqBrokerServer._poll_once = poll_and_check
