"""The broker writes its status when a worker connects or disconnects, and otherwise at the same intervals as before."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from aiida.brokers.zeromq.service import ZeromqBrokerService

from aiida_mlip_autopipec.host.workarounds import late_status


def test_a_status_is_written_when_the_number_of_workers_changes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("run_forever", "_write_status"):
        monkeypatch.setattr(ZeromqBrokerService, name, getattr(ZeromqBrokerService, name))
    late_status.install()
    service = ZeromqBrokerService(service_dir=tmp_path)

    def written(workers: int, pending: int) -> dict[str, int]:
        service._write_status({"task_subscribers": workers, "pending_tasks": pending})
        return json.loads(service.status_file.read_text())

    assert written(0, 1)["pending_tasks"] == 1
    assert written(0, 2)["pending_tasks"] == 1
    assert (written(1, 3)["pending_tasks"], written(1, 4)["task_subscribers"]) == (3, 1)
    assert written(0, 5)["pending_tasks"] == 5
