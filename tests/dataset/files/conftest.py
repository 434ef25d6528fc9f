"""Fixtures for the tests of dataset files."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def silicon_upf() -> Path:
    """A pseudopotential of silicon, from Debian's `quantum-espresso-data`."""
    path = Path("/usr/share/espresso/pseudo/Si.pz-vbc.UPF")
    if not path.exists():
        pytest.skip("quantum-espresso-data is not installed")
    return path
