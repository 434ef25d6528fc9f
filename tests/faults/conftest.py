"""Fixtures of the tests of faults on one machine."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from .machine import Machine


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A home without AiiDA configuration; no process of it is left at the end."""
    with started_machine(tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("controls")) as machine:
        yield machine


@pytest.fixture
def small_machine(tmp_path: Path) -> Iterator[Machine]:
    """The same on a small disk."""
    home, controls = tmp_path / "home", tmp_path / "controls"
    home.mkdir()
    controls.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200m", "tmpfs", home], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small disk cannot be mounted on this machine")
    try:
        with started_machine(home, controls) as machine:
            yield machine
    finally:
        subprocess.run(["umount", "--lazy", home], check=True)


@contextmanager
def started_machine(home: Path, controls: Path) -> Iterator[Machine]:
    """Yield a machine, and stop all its processes at the end."""
    machine = Machine(home, controls)
    try:
        yield machine
    finally:
        if machine.daemon():
            machine.call("verdi", "daemon", "stop")
        for process in [*machine.daemon(), *machine.jobs(), *machine.clients]:
            with suppress(psutil.Error):
                process.kill()


@pytest.fixture(scope="module")
def undisturbed(machine: Machine) -> bytes:
    """The potential of a run without faults."""
    run = machine.run("undisturbed")
    assert run.client.wait() == 0, (run.folder / "output").read_text()
    run.assert_labels_once()
    return (run.folder / "watched" / "potential.yace").read_bytes()
