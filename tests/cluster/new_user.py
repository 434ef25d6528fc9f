"""A new user of the cluster: a home in which `mlip-auto setup` has set up everything."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg
import yaml

from ..waiting import wait_for
from .conftest import AiidaOnCluster, aiida_in, connect, login, new_database

HPC = "hpc"
MODULES = Path(__file__).parent / "modules"
"""Folder of calculators, which is on the PYTHONPATH of the cluster."""


@dataclass(frozen=True)
class NewUser:
    """A home in which `mlip-auto setup` has set up everything."""

    home: Path
    aiida: AiidaOnCluster
    description: dict[str, Any]

    def mlip_auto(self, *arguments: str) -> str:
        """Run `mlip-auto`, which must succeed."""
        return self.aiida.run("mlip-auto", *arguments)

    def write(self, name: str, content: dict[str, Any], mode: int = 0o600) -> str:
        """Write settings to a file and return its path."""
        path = self.home / name
        path.touch()
        path.chmod(mode)
        path.write_text(yaml.safe_dump(content))
        return str(path)

    def make_profile(self) -> None:
        """Create a profile on the cluster's PostgreSQL and RabbitMQ."""
        postgres, rabbitmq = self.description["postgres"], self.description["rabbitmq"]
        profile = {
            "name": "production",
            "postgres": {**postgres, "database": new_database(postgres)},
            "rabbitmq": {name: rabbitmq[name] for name in ("host", "port", "user", "password")},
        }
        self.mlip_auto("setup", "profile", self.write("profile.yaml", profile))
        # The cluster's RabbitMQ has no time limit.
        self.aiida.verdi("config", "set", "warnings.rabbitmq_version", "False")
        self.aiida.verdi("config", "set", "daemon.timeout", "60")

    def make_computer(self, label: str, work_folder: str) -> None:
        """Create a computer for the cluster."""
        ssh = self.description["ssh"]
        modules = f"{self.description['work']}/modules"
        computer = {
            "label": label,
            "host": ssh["address"],
            "port": ssh["port"],
            "user": self.description["user"],
            "key": ssh["key"],
            "work_folder": work_folder,
            "queue": self.description["slurm"]["partition"],
            "environment": f"export PATH={sys.prefix}/bin:$PATH PYTHONPATH={modules}",
            "safe_interval": 0,
            "poll_interval": 1,
        }
        self.mlip_auto("setup", "computer", self.write("computer.yaml", computer))

    def accept_host_key(self) -> None:
        """Accept the host key of the cluster."""
        shutil.copy(self.description["ssh"]["known_hosts"], self.home / ".ssh/known_hosts")

    def submit(self, config: dict[str, Any], *options: str) -> str:
        """Submit a run and return its PK."""
        output = self.mlip_auto("submit", self.write("CONFIG.yaml", config), *options)
        submitted = re.search(r"^Run (\d+) submitted", output, re.M)
        assert submitted
        return submitted[1]

    def status_once(self, run: str, condition: Callable[[str], object]) -> str:
        """Wait until the status of a run satisfies a condition, and return it."""

        def matching_status() -> str:
            shown = self.mlip_auto("status", run)
            return shown if condition(shown) else ""

        return str(wait_for(f"the wanted status of run {run}", matching_status, every=3.0))

    def workers(self) -> list[psutil.Process]:
        """Return the workers of the daemon."""
        circus = psutil.Process(int((self.home / ".aiida/daemon/circus-production.pid").read_text()))
        found = []
        for process in circus.children(recursive=True):
            try:
                if "worker" in process.cmdline():
                    found.append(process)
            except psutil.NoSuchProcess:
                continue
        return found

    def connect(self) -> psycopg.Connection[Any]:
        """Connect to the database of the profile."""
        return connect(yaml.safe_load((self.home / "profile.yaml").read_text())["postgres"])

    def jobs_in_the_queue(self) -> list[str]:
        """Return the waiting and running jobs of the scheduler, without those that are completing."""
        active = "PENDING,CONFIGURING,RUNNING,SUSPENDED"
        return login(self.description, f"squeue --noheader --format=%i --states={active}").stdout.split()


def set_up(description: dict[str, Any], home: Path) -> NewUser:
    """Return a new user with a profile, the computer `hpc` and the codes."""
    new_user = NewUser(home, aiida_in(home), description)
    new_user.make_profile()
    new_user.make_computer(HPC, description["work"])
    new_user.mlip_auto("setup", "codes")
    shutil.copytree(MODULES, Path(description["work"]) / "modules", dirs_exist_ok=True)
    return new_user
