"""Fixtures of the tests of the selection."""

from __future__ import annotations

import pytest
from ase import Atoms

from aiida_mlip_autopipec.config.schemas.generator import GeneratorConfig
from aiida_mlip_autopipec.generator.structure import StructureGenerator


@pytest.fixture(scope="session")
def pool() -> list[Atoms]:
    """Sixty generated copper structures."""
    return StructureGenerator(GeneratorConfig(max_atoms=8)).generate_initial_set("Cu", 60)
