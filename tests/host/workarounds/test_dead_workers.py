"""The tasks of a dead worker are given to another worker."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from aiida.brokers.zeromq.server import ZeromqBrokerServer

from aiida_mlip_autopipec.host.workarounds import dead_workers


@pytest.mark.parametrize("repaired", [False, True])
def test_tasks_of_a_dead_worker_return_to_the_queue(
    repaired: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Restored at the end.
    monkeypatch.setattr(ZeromqBrokerServer, "_poll_once", ZeromqBrokerServer._poll_once)
    if repaired:
        dead_workers.install()
    # The path of a socket must be short.
    with tempfile.TemporaryDirectory() as sockets:
        server = ZeromqBrokerServer(tmp_path, sockets)
        server.start()
        try:
            server._task_queue.push("task", {"body": "body"})
            server._task_queue.pop()
            server._assign_task("task", b"a worker that died")
            server.run_once(0.01)
            assert server.get_status()["pending_tasks"] == (1 if repaired else 0)
        finally:
            server.stop()
