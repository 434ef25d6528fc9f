"""The command `mlip-auto`: as a program without any AiiDA configuration, and as a function in this process."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from aiida.engine.daemon.client import get_daemon_client
from aiida.manage.configuration import Profile
from click.testing import CliRunner, Result

from aiida_mlip_autopipec.app import main

from ..conftest import Command, leave_broker
from ..waiting import PATIENCE

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def new_machine(run_program: Command) -> Command:
    """Run `mlip-auto` as a program without any AiiDA configuration."""
    return lambda *arguments: run_program("mlip-auto", *arguments)


@pytest.fixture
def run_here(aiida_profile: Profile, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a command in this process, on the temporary profile, in the temporary folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, [*arguments, "--profile", aiida_profile.name])

    return run


@pytest.fixture(scope="session")
def daemon_here(aiida_profile: Profile) -> Iterator[None]:
    """Stop the daemon of the temporary profile at the end; the first command that needs it starts it."""
    leave_broker()
    yield
    client = get_daemon_client(aiida_profile.name)
    if client.is_daemon_running:
        client.stop_daemon(wait=True, timeout=round(PATIENCE))


@pytest.fixture
def mlip_auto(daemon_here: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """Run a command in this process on AiiDA's default profile, the temporary one; return the result of a process."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return subprocess.CompletedProcess(arguments, result.exit_code, result.stdout, result.stderr)

    return run
