"""Status of the embedded broker, written as soon as a worker comes or goes.

In aiida-core 2.9 the broker writes its status every 5 s. A command that starts the daemon reads there whether a worker is
connected, and would wait that long.
"""

from __future__ import annotations

import time
from typing import Any

from . import are_needed


def install() -> None:
    """Let the broker of this process write its status when the number of workers changes."""
    if not are_needed():
        return
    from aiida.brokers.zeromq.defaults import STATUS_INTERVAL
    from aiida.brokers.zeromq.service import ZeromqBrokerService

    run_forever, write_status = ZeromqBrokerService.run_forever, ZeromqBrokerService._write_status
    written: dict[str, float] = {"workers": -1, "at": 0.0}

    def write_if_changed(self: ZeromqBrokerService, status: dict[str, Any]) -> None:
        workers, now = status["task_subscribers"], time.monotonic()
        if workers != written["workers"] or now - written["at"] >= STATUS_INTERVAL:
            written.update(workers=workers, at=now)
            write_status(self, status)

    ZeromqBrokerService._write_status = write_if_changed
    ZeromqBrokerService.run_forever = lambda self: run_forever(self, status_interval=0.0)
