"""The command `mlip-auto` on a machine on which AiiDA was never used."""

from __future__ import annotations

import pytest

from ..conftest import Command


@pytest.fixture(scope="module")
def mlip_auto(run_program: Command) -> Command:
    """Run `mlip-auto` there."""
    return lambda *arguments: run_program("mlip-auto", *arguments)
