"""The daemon, and the connection of its workers to the embedded broker."""

from __future__ import annotations

import os
import time

import pytest
from aiida.engine.daemon.client import get_daemon_client

from aiida_mlip_autopipec.host.daemon import is_outdated

from ..conftest import Command

KILLED = """
import json
import os
import sys
import time
from pathlib import Path

os.environ["PATH"] += f":{Path(sys.executable).parent}"

import psutil
from aiida.engine.daemon.client import get_daemon_client
from aiida_mlip_autopipec.host import daemon
from aiida_mlip_autopipec.host.profile import ensure_profile
from aiida_mlip_autopipec.host.processes import find_processes

ensure_profile()
client = get_daemon_client()


def living():
    return find_processes(client)


def end(*kinds):
    ended = [process for kind in kinds for process in getattr(living(), kind)]
    for process in ended:
        process.kill()
    psutil.wait_procs(ended)
    return {process.pid for process in ended}


def tell(what):
    daemon.ensure_daemon()
    found = living()
    (supervisor,) = found.supervisors
    print(what, len(found.brokers), len(found.workers), {process.ppid() for process in found.brokers + found.workers} ==
          {supervisor.pid}, daemon._count_connected(client), daemon.is_running())


# Plain `verdi`: its workers have no workarounds.
client.start_daemon(1, timeout=600)
tell("plain")
end("brokers")
while not living().brokers:
    time.sleep(0.1)
tell("plain, broker:")
before = {process.pid for process in living()}
tell("nothing:")
assert before == {process.pid for process in living()}
end("supervisors")
print("runs:", daemon.is_running())
tell("supervisor:")
assert not before & {process.pid for process in living()}
before = {process.pid for process in living().workers}
end("brokers")
tell("broker:")
end("supervisors", "workers", "others")
client.start_daemon(1, timeout=600)
tell("started beside a broker:")
end("supervisors", "brokers", "workers", "others")
tell("all:")
client.stop_daemon(wait=True, timeout=600)
psutil.wait_procs(list(living()), timeout=600)
print("left:", list(living()))
"""


def test_remaining_daemon_processes_are_terminated_before_a_new_start(run_program: Command) -> None:
    ran = run_program("python", "-c", KILLED)
    assert ran.returncode == 0, ran.stderr
    told = [line for line in ran.stdout.splitlines() if ": " in line or line.startswith("plain")]
    whole = "1 1 True 1 True"
    assert told == [
        f"plain {whole}",
        f"plain, broker: {whole}",
        f"nothing: {whole}",
        "runs: False",
        f"supervisor: {whole}",
        f"broker: {whole}",
        f"started beside a broker: {whole}",
        f"all: {whole}",
        "left: []",
    ]


@pytest.mark.usefixtures("aiida_profile")
def test_daemon_older_than_the_package_is_outdated(monkeypatch: pytest.MonkeyPatch) -> None:
    client = get_daemon_client()
    monkeypatch.setattr(client, "get_daemon_pid", os.getpid)
    monkeypatch.setattr("psutil.Process.create_time", lambda process: 0.0)
    assert is_outdated(client)
    monkeypatch.setattr("psutil.Process.create_time", lambda process: time.time())
    assert not is_outdated(client)
    monkeypatch.setattr(client, "get_daemon_pid", lambda: None)
    assert not is_outdated(client)
