"""The cluster has the described services, and AiiDA runs jobs on it."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from ..waiting import PATIENCE
from .cluster import USER, Cluster
from .conftest import AiidaOnCluster, command, login

EAT_MEMORY = "import time; eaten = [(bytearray(20_000_000), time.sleep(0.1)) for _ in range(100)]"


def state_of(description: dict[str, Any], job: str) -> str:
    """Return the state of a job in SLURM's accounting."""
    return login(description, f"sacct --noheader --parsable2 --allocations --format=State --jobs={job}").stdout.strip()


def processes(cluster: Cluster) -> set[psutil.Process]:
    """Return the processes of the services with their children, and all processes of the cluster's user."""
    found = {process for process in psutil.process_iter(["username"]) if process.info["username"] == USER}
    for service in cluster.services(cluster.describe()).values():
        if service.pid is not None:
            main = psutil.Process(service.pid)
            found |= {main, *main.children(recursive=True)}
    return found


def names(found: set[psutil.Process]) -> list[str]:
    """Return the names of the processes that still run."""
    running = []
    for process in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            # An ended process is a zombie until its parent, process 1 of the machine, has read its exit status.
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                running.append(process.name())
    return running


def listening(found: set[psutil.Process]) -> set[tuple[str, int]]:
    """Return the addresses on which processes accept connections or packets."""
    addresses = set()
    for process in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            for connection in process.net_connections(kind="inet"):
                if connection.status in (psutil.CONN_LISTEN, psutil.CONN_NONE):
                    addresses.add((connection.laddr.ip, connection.laddr.port))
    return addresses


def test_second_up_changes_nothing(cluster: Cluster) -> None:
    before = processes(cluster)
    run = command("up")
    assert run.returncode == 0, run.stderr
    assert "up already" in run.stderr
    assert Path(run.stdout.strip()) == cluster.description_file
    assert before == processes(cluster)


def test_login_has_the_user_and_finds_the_scheduler(description: dict[str, Any]) -> None:
    run = login(description, "id --user --name; sinfo --noheader --Node --format=%N")
    assert run.stdout.splitlines() == [USER, "node1", "node2"]


def test_the_scheduler_runs_a_job_in_the_python_of_the_tests(description: dict[str, Any]) -> None:
    wrapped = f"{sys.prefix}/bin/python3 -c 'import ase; print(ase.__file__)'"
    run = login(description, f'sbatch --wait --parsable --output=%j.out --wrap="{wrapped}"')
    assert run.returncode == 0, run.stderr
    job = run.stdout.strip()
    assert login(description, f"cat {job}.out").stdout.startswith(sys.prefix)
    assert state_of(description, job) == "COMPLETED"


def test_job_that_takes_more_memory_than_requested_is_killed(description: dict[str, Any]) -> None:
    wrapped = f"{sys.prefix}/bin/python3 -c '{EAT_MEMORY}'"
    run = login(description, f'sbatch --wait --parsable --mem=200 --output=%j.out --wrap="{wrapped}"')
    job = run.stdout.strip()
    assert run.returncode != 0
    assert "exceeded memory limit" in login(description, f"cat {job}.out").stdout


def test_only_loopback_addresses_are_listened_on(cluster: Cluster, description: dict[str, Any]) -> None:
    job = login(description, "sbatch --parsable --wrap='srun sleep 600'").stdout.strip()
    try:
        # srun, which launches job steps, listens too.
        while "sleep" not in names(found := processes(cluster)):
            time.sleep(0.2)
        assert "srun" in names(found)
        addresses = listening(found)
    finally:
        login(description, f"scancel {job}")
    assert set(description["ports"].values()) < {port for _, port in addresses}
    assert [ip for ip, _ in addresses if not ipaddress.ip_address(ip).is_loopback] == []


@pytest.mark.parametrize(
    ("fault", "probe"),
    [("ssh", "true"), ("slurmctld", "squeue")],
)
def test_service_is_unavailable_while_its_fault_lasts(description: dict[str, Any], fault: str, probe: str) -> None:
    assert login(description, probe).returncode == 0
    started = command("fault", fault, "start")
    assert started.returncode == 0, started.stderr
    try:
        assert login(description, probe).returncode != 0
    finally:
        stopped = command("fault", fault, "stop")
    assert stopped.returncode == 0, stopped.stderr
    assert login(description, probe).returncode == 0


@pytest.mark.slow
def test_job_fails_if_its_node_is_lost(cluster: Cluster, description: dict[str, Any]) -> None:
    submit = "sbatch --parsable --no-requeue --nodelist=node2 --wrap='sleep 300'"
    job = login(description, submit).stdout.strip()
    while state_of(description, job) != "RUNNING":
        time.sleep(0.5)
    command("fault", "node", "start")
    try:
        assert "sleep" not in names(processes(cluster))
        while state_of(description, job) == "RUNNING":
            time.sleep(1)
        assert state_of(description, job) == "NODE_FAIL"
    finally:
        command("fault", "node", "stop")
    assert login(description, "sbatch --wait --nodelist=node2 --wrap=true").returncode == 0


def test_down_leaves_no_process_and_no_open_folder(cluster: Cluster, description: dict[str, Any]) -> None:
    login(description, "sbatch --wrap='sleep 600'; setsid sleep 600 >/dev/null 2>&1 </dev/null &")
    while names(before := processes(cluster)).count("sleep") < 2:
        time.sleep(0.2)
    down = command("down")
    try:
        assert down.returncode == 0, down.stderr
        assert names(before) == []
        assert names(processes(cluster)) == []
        access = subprocess.run(["getfacl", "--omit-header", "--", *Path(sys.prefix).parents], capture_output=True)
        assert USER.encode() not in access.stdout
    finally:
        up = command("up", "--python", sys.prefix)
    assert up.returncode == 0, up.stderr


def test_aiida_runs_a_job_on_the_cluster(aiida_on_cluster: AiidaOnCluster) -> None:
    assert "all 6 tests succeeded" in aiida_on_cluster.verdi("computer", "test", "cluster").lower()
    submit = """
from aiida import load_profile, orm
from aiida_shell import launch_shell_job
load_profile()
_, node = launch_shell_job("/bin/date", arguments="--utc", metadata={"computer": orm.load_computer("cluster")}, submit=True)
print(f"process <{node.pk}>")
"""
    process = re.search(r"process <(\d+)>", aiida_on_cluster.run("python", "-c", submit))
    assert process
    deadline = time.monotonic() + PATIENCE
    show = "import sys; from aiida import load_profile, orm; load_profile(); n = orm.load_node(int(sys.argv[1])); "
    show += "print(n.process_state.value, n.exit_status, n.get_job_id()); "
    show += "print(n.outputs.stdout.get_content() if n.is_finished_ok else n.exit_message)"
    while "finished" not in (shown := aiida_on_cluster.run("python", "-c", show, process[1])):
        assert time.monotonic() < deadline, shown + aiida_on_cluster.verdi("process", "report", process[1])
        time.sleep(1)
    assert re.search(r"finished 0 \d+\n.*UTC", shown), shown
