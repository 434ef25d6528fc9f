"""A daemon, and workers that the embedded broker knows."""

from __future__ import annotations

import os
import time

import pytest
from aiida.engine.daemon.client import get_daemon_client

from aiida_mlip_autopipec.daemon import is_outdated

from .conftest import Command

TALKS_TO_NOBODY = """
import os
import sys
import time
from pathlib import Path

os.environ["PATH"] += f":{Path(sys.executable).parent}"

from aiida.manage.configuration import get_config
from aiida_mlip_autopipec import daemon
from aiida_mlip_autopipec.environment import ensure_profile

profile, _ = ensure_profile()
client = daemon.ensure_daemon()
folder = Path(get_config().filepaths(profile)["broker_service"]["dir"])
print("started:", daemon._workers_known(folder))
# What a worker reads that looks for the address while it is written.
address = (folder / "broker.sockets").read_text()
(folder / "broker.sockets").write_text("")
client.restart_daemon(wait=True)
time.sleep(15)
(folder / "broker.sockets").write_text(address)
print("lost:", daemon._workers_known(folder))
daemon._await_workers(client, folder, 1)
print("found:", daemon._workers_known(folder))
"""


def test_a_worker_that_talks_to_nobody_is_started_anew(run_program: Command) -> None:
    ran = run_program("python", "-c", TALKS_TO_NOBODY)
    assert ran.returncode == 0, ran.stderr
    assert [line for line in ran.stdout.splitlines() if line.startswith(("started:", "lost:", "found:"))] == [
        "started: 1",
        "lost: 0",
        "found: 1",
    ]


@pytest.mark.usefixtures("aiida_profile")
def test_a_daemon_older_than_the_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    client = get_daemon_client()
    monkeypatch.setattr(client, "get_daemon_pid", os.getpid)
    monkeypatch.setattr("psutil.Process.create_time", lambda process: 0.0)
    assert is_outdated(client)
    monkeypatch.setattr("psutil.Process.create_time", lambda process: time.time())
    assert not is_outdated(client)
    monkeypatch.setattr(client, "get_daemon_pid", lambda: None)
    assert not is_outdated(client)
