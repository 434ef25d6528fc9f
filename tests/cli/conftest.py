"""The command `mlip-auto`: on a machine on which AiiDA was never used, and in this process."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiida.manage.configuration import Profile
from click.testing import CliRunner, Result

from aiida_mlip_autopipec.app import main

from ..conftest import Command


@pytest.fixture(scope="module")
def mlip_auto(run_program: Command) -> Command:
    """Run `mlip-auto` there."""
    return lambda *arguments: run_program("mlip-auto", *arguments)


@pytest.fixture
def run_here(aiida_profile: Profile, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Run a command in this process, on the temporary profile, in the temporary folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, [*arguments, "--profile", aiida_profile.name])

    return run
