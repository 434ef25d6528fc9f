"""The command `mlip-auto` on a machine on which AiiDA was never used."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Command = Callable[..., "subprocess.CompletedProcess[str]"]

_PROGRAMS = Path(sys.executable).parent


@pytest.fixture(scope="module")
def run_program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    """Run a program of this Python environment there; the daemon is stopped at the end."""
    home = tmp_path_factory.mktemp("home")
    environment = {**os.environ, "AIIDA_PATH": str(home), "PATH": "/usr/bin:/bin", "HOME": str(home)}

    def run(program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [_PROGRAMS / program, *arguments], env=environment, cwd=home, capture_output=True, text=True, check=False
        )

    yield run
    run("verdi", "daemon", "stop")


@pytest.fixture(scope="module")
def mlip_auto(run_program: Command) -> Command:
    """Run `mlip-auto` there."""
    return lambda *arguments: run_program("mlip-auto", *arguments)
