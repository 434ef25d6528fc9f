"""A machine for the faults."""

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
    """A machine of its own, on which nothing is left at the end."""
    with switched_on(tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("orders")) as machine:
        yield machine


@pytest.fixture
def small_machine(tmp_path: Path) -> Iterator[Machine]:
    """A machine with a small disk."""
    home, orders = tmp_path / "home", tmp_path / "orders"
    home.mkdir()
    orders.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200m", "tmpfs", home], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("this machine lets no small disk be mounted")
    try:
        with switched_on(home, orders) as machine:
            yield machine
    finally:
        subprocess.run(["umount", "--lazy", home], check=True)


@contextmanager
def switched_on(home: Path, orders: Path) -> Iterator[Machine]:
    """Yield a machine; leave no process of it."""
    machine = Machine(home, orders)
    try:
        yield machine
    finally:
        machine.call("verdi", "daemon", "stop")
        for process in [*machine.daemon(), *machine.jobs(), *machine.clients]:
            with suppress(psutil.Error):
                process.kill()


@pytest.fixture(scope="module")
def undisturbed(machine: Machine) -> bytes:
    """The potential of a run to which nothing happens."""
    run = machine.run("undisturbed")
    assert run.client.wait() == 0, (run.folder / "said").read_text()
    run.assert_labels_once()
    return (run.folder / "watched" / "potential.yace").read_bytes()
