"""Fixtures of the cluster, and of AiiDA on it as users set it up."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from .cluster import Cluster

WITHOUT = "To leave out the tests that need the cluster: pytest --ignore=tests/cluster"


def command(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `up`, `down` or `fault` in a separate process, so that the services are no children of the tests."""
    program = Path(__file__).parent / name
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=600, check=False)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The running cluster, which can run the Python of these tests; it is stopped at the end, unless it was running before."""
    up = command("up", "--python", sys.prefix)
    if up.returncode != 0:
        pytest.fail(f"No cluster to test on: {up.stderr}\n{WITHOUT}", pytrace=False)
    yield Cluster()
    if "up already" not in up.stderr:
        command("down")


@pytest.fixture
def description(cluster: Cluster) -> dict[str, Any]:
    """The content of `cluster.json`."""
    return cluster.describe()


def login(description: dict[str, Any], command: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command line on the cluster, as its user, over SSH."""
    ssh = ["ssh", "-F", description["ssh"]["config"], "-o", "ConnectTimeout=10", description["ssh"]["host"]]
    return subprocess.run([*ssh, command], capture_output=True, text=True, timeout=120, check=False, **options)


@dataclass(frozen=True)
class AiidaOnCluster:
    """An AiiDA profile on the cluster's PostgreSQL and RabbitMQ; its computer `cluster` is the cluster."""

    environment: dict[str, str]

    def run(self, program: str, *arguments: str) -> str:
        """Run a program of this Python environment (`verdi`, `python`, `mlip-auto`) on the profile; return its output."""
        run = self.attempt(program, *arguments)
        assert run.returncode == 0, f"{program} {' '.join(arguments)}\n{run.stdout}"
        return run.stdout

    def attempt(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a program that may fail; its output includes the errors."""
        return subprocess.run(
            [str(Path(sys.prefix) / "bin" / program), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment,
            timeout=300,
            check=False,
        )

    def verdi(self, *arguments: str) -> str:
        """Run `verdi`."""
        return self.run("verdi", *arguments)


def aiida_in(home: Path) -> AiidaOnCluster:
    """Return AiiDA with a home of its own, for its settings and those of SSH."""
    return AiidaOnCluster(
        {
            **os.environ,
            "AIIDA_PATH": str(home),
            # core.ssh_async reads ~/.ssh/config; the daemon looks for `verdi` on the PATH.
            "HOME": str(home),
            "PATH": os.pathsep.join([str(Path(sys.prefix) / "bin"), os.environ["PATH"]]),
        }
    )


def connect(postgres: dict[str, Any]) -> psycopg.Connection[Any]:
    """Connect to a database of the cluster's PostgreSQL."""
    return psycopg.connect(
        host=postgres["host"],
        port=postgres["port"],
        user=postgres["user"],
        password=postgres["password"],
        dbname=postgres["database"],
        autocommit=True,
    )


def new_database(postgres: dict[str, Any]) -> str:
    """Create an empty database on the cluster's PostgreSQL and return its name."""
    database = f"aiida_{uuid.uuid4().hex}"
    with connect(postgres) as connection:
        connection.execute(f"CREATE DATABASE {database}")
    return database


# A new one for each module: the faults of another module may cut the connection of its daemon to the database.
@pytest.fixture(scope="module")
def aiida_on_cluster(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AiidaOnCluster]:
    """AiiDA on the cluster, with a daemon of two workers."""
    description = cluster.describe()
    home = tmp_path_factory.mktemp("home")
    aiida = aiida_in(home)
    (home / ".ssh").mkdir(mode=0o700)
    (home / ".ssh/config").write_text(Path(description["ssh"]["config"]).read_text())

    postgres, rabbitmq = description["postgres"], description["rabbitmq"]
    database = new_database(postgres)

    storage = ["--database-hostname", postgres["host"], "--database-port", str(postgres["port"])]
    storage += ["--database-username", postgres["user"], "--database-password", postgres["password"]]
    storage += ["--database-name", database, "--repository-uri", (home / "repository").as_uri()]
    person = ["--email", "tests@localhost", "--first-name", "Test", "--last-name", "Run", "--institution", "None"]
    profile = ["--non-interactive", "--profile-name", "cluster", "--set-as-default", "--broker", "none"]
    aiida.verdi("profile", "setup", "core.psql_dos", *profile, *person, *storage)

    broker = ["--broker-protocol", rabbitmq["protocol"], "--broker-virtual-host", rabbitmq["virtual_host"]]
    broker += ["--broker-host", rabbitmq["host"], "--broker-port", str(rabbitmq["port"])]
    broker += ["--broker-username", rabbitmq["user"], "--broker-password", rabbitmq["password"]]
    aiida.verdi("profile", "configure-broker", "core.rabbitmq", "--force", "--non-interactive", *broker, "cluster")
    # AiiDA warns of this version of RabbitMQ because of a time limit, which the settings of the cluster remove.
    aiida.verdi("config", "set", "warnings.rabbitmq_version", "False")

    computer = ["--label", "cluster", "--hostname", description["ssh"]["host"], "--work-dir", description["work"]]
    computer += ["--transport", "core.ssh_async", "--scheduler", "core.slurm", "--mpiprocs-per-machine", "1"]
    aiida.verdi("computer", "setup", "--non-interactive", *computer, "--mpirun-command", "srun -n {tot_num_mpiprocs}")
    connection_options = ["--host", description["ssh"]["host"], "--safe-interval", "0"]
    aiida.verdi("computer", "configure", "core.ssh_async", "--non-interactive", *connection_options, "cluster")
    aiida.run("python", "-c", SHORT_POLLING)

    aiida.verdi("config", "set", "daemon.timeout", "60")
    aiida.verdi("daemon", "start", "2")
    yield aiida
    aiida.verdi("daemon", "stop")


SHORT_POLLING = """
from aiida import load_profile, orm
load_profile()
orm.load_computer("cluster").set_minimum_job_poll_interval(1)
"""
