"""A home without AiiDA configuration, and small runs in it that wait at a chosen moment and record each computed structure."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml

from ..cluster.modules.controlled_emt import N_BEFORE_CONTROL
from ..held_run import HeldRun, held_config
from ..waiting import PATIENCE, wait_for

STRUCTURES, PER_JOB = 8, 4
LABEL_JOBS = STRUCTURES // PER_JOB
PROGRAMS = Path(sys.executable).parent
MODULES = Path(__file__).parents[1] / "cluster" / "modules"

_DAEMON = ("start-circus", "broker", "worker")


@dataclass
class Machine:
    """A home with its own AiiDA profile, and the commands there.

    :ivar work: folder in which the jobs run.
    :ivar controls: folder with the control files and records of the runs.
    """

    home: Path
    controls: Path
    clients: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def work(self) -> Path:
        return self.home / ".aiida" / "scratch"

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment of commands."""
        path, site = f"{PROGRAMS}:/usr/bin:/bin", str(Path(__file__).parent / "site")
        return {**os.environ, "AIIDA_PATH": str(self.home), "HOME": str(self.home), "PATH": path, "PYTHONPATH": site}

    def call(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a program of this Python environment to its end."""
        return subprocess.run(
            [PROGRAMS / program, *arguments],
            env=self.environment,
            cwd=self.home,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )

    def mlip_auto(self, *arguments: str) -> str:
        """Run a command, which must succeed, and return its output."""
        ran = self.call("mlip-auto", *arguments)
        assert ran.returncode == 0, f"{arguments}: {ran.stdout}{ran.stderr}"
        return ran.stdout + ran.stderr

    @property
    def database(self) -> Path:
        (path,) = self.home.glob(".aiida/repository/*/database.sqlite")
        return path

    def query(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Query the database directly, since a command of AiiDA takes seconds."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=60)) as database:
            return database.execute(query, values).fetchall()

    def daemon(self, *kinds: str) -> list[psutil.Process]:
        """Return the processes of the daemon, of some kinds: `start-circus`, `broker`, `worker`."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                words = process.cmdline()
                kind = words[words.index("daemon") + 1] if "daemon" in words[:-1] else None
                living = process.status() != psutil.STATUS_ZOMBIE
                if kind in (kinds or _DAEMON) and living and self._owns(process):
                    found.append(process)
        return found

    def jobs(self) -> list[psutil.Process]:
        """Return the processes of jobs that run: programs, and the shells that started them."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if Path(process.cwd()).is_relative_to(self.work) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def remains(self) -> list[str]:
        """Return the command lines of all remaining processes of AiiDA in this home."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                line = " ".join(process.cmdline())
                if process.status() != psutil.STATUS_ZOMBIE and self._owns(process) and "daemon" in line:
                    found.append(line)
        return found

    def _owns(self, process: psutil.Process) -> bool:
        return process.environ().get("AIIDA_PATH", "").startswith(str(self.home))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the database as another program does."""
        with closing(sqlite3.connect(self.database, timeout=60, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            try:
                yield
            finally:
                other.execute("ROLLBACK")

    @contextmanager
    def full_disk(self) -> Iterator[None]:
        """Fill the disk of the home."""
        filler = self.home / "filler"
        try:
            with suppress(OSError), filler.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(65536))
            # Less space than one block may be left.
            with suppress(OSError), filler.open("ab", buffering=0) as file:
                while True:
                    file.write(bytes(1))
            yield
        finally:
            filler.unlink()

    def run(self, name: str, *controls: str) -> Run:
        """Start a run with control files, and the command that watches it; its labels are not those of another run."""
        folder = self.controls / name
        folder.mkdir()
        for control in controls:
            (folder / control).touch()
        config = held_config(folder, STRUCTURES, PER_JOB, oracle={"prepend_text": f"export PYTHONPATH={MODULES}"})
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        newest = self._newest() if list(self.home.glob(".aiida/repository/*/database.sqlite")) else 0
        printed = folder / "output"
        with printed.open("w") as output:
            client = subprocess.Popen(
                [PROGRAMS / "mlip-auto", "run", folder / "config.yaml", "--output", folder / "watched"],
                env=self.environment,
                cwd=self.home,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
            )
        self.clients.append(client)
        return Run(self, folder, client, newest)

    def _newest(self) -> int:
        return int(self.query("SELECT coalesce(max(id), 0) FROM db_dbnode")[0][0])


@dataclass
class Run(HeldRun):
    """A run, and its state in the database, read without AiiDA."""

    machine: Machine
    folder: Path
    client: subprocess.Popen[str]
    newest_node_before: int

    @property
    def pk(self) -> str:
        """Return the PK of the run when it is submitted."""

        def submitted() -> str | None:
            printed = (self.folder / "output").read_text()
            found = re.search(r"Run (\d+) submitted", printed)
            assert found or self.client.poll() is None, printed
            return found[1] if found else None

        return str(wait_for("submission", submitted))

    def processes(self, label: str) -> list[dict[str, Any]]:
        """Return the attributes of the processes of this run whose label begins with a text.

        Processes of other runs that were submitted later are included.
        """
        query = """
            SELECT attributes FROM db_dbnode
            WHERE id > ? AND json_extract(attributes, '$.process_label') LIKE ? ORDER BY id
        """
        return [json.loads(row[0]) for row in self.machine.query(query, self.newest_node_before, f"{label}%")]

    def held_labels(self) -> None:
        """Wait until all labelling jobs are held after their first structures."""
        wait_for("jobs that wait", lambda: len(self.computed()) == N_BEFORE_CONTROL * LABEL_JOBS)

    def held_fit(self) -> None:
        """Wait until the job of the fit is held."""

        def runs() -> bool:
            return [one.get("state") for one in self.processes("ShellJob")] == ["withscheduler"]

        wait_for("the fit", runs)

    def in_function(self, name: str) -> None:
        """Wait until a calcfunction has started; it is short, and may have ended already."""
        wait_for(name, lambda: self.processes(name), every=0.002)

    def watch_again(self) -> None:
        """Display the run again by the command, which starts a daemon if it was killed; wait until there is one."""
        command = [PROGRAMS / "mlip-auto", "watch", self.pk]
        with (self.folder / "watched_again").open("w") as output:
            client = subprocess.Popen(
                command, env=self.machine.environment, cwd=self.machine.home, stdout=output, stderr=subprocess.STDOUT
            )
        self.machine.clients.append(client)
        wait_for("a daemon", lambda: self.machine.daemon("start-circus") or client.poll() is not None)

    def potential(self, output: Path | None = None) -> bytes:
        """Wait for the end of the run by `mlip-auto watch`, and return its potential."""
        output = output or self.folder / "results"
        self.machine.mlip_auto("watch", self.pk, "--output", str(output))
        return (output / "potential.yace").read_bytes()

    def assert_unaffected(self, undisturbed: bytes) -> None:
        """Check that the run ends with the potential of a run without faults, and has computed each label once."""
        assert self.potential() == undisturbed
        self.assert_labels_once()

    def assert_labels_once(self) -> None:
        """Check that no label is lost and none was computed twice."""
        assert sorted(self.computed().values()) == [1] * STRUCTURES
        reports = [one for one in self.processes("complete_report") if one["process_state"] == "finished"]
        assert len(reports) == 1
