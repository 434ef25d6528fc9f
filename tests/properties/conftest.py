"""A relaxed crystal of aluminium, and the effective medium theory, which is fast."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from ase import Atoms
from ase.calculators.emt import EMT

from aiida_mlip_autopipec.config.schemas.base import StrictSettings
from aiida_mlip_autopipec.properties.crystals import reference_crystals, relax_crystal
from aiida_mlip_autopipec.properties.model import Property, Result


@pytest.fixture(scope="session")
def crystals() -> dict[str, Atoms]:
    """Aluminium and copper at the minimum of the energy."""
    return {name: relax_crystal(atoms, EMT(), 1e-3, 100) for name, atoms in reference_crystals(["Al", "Cu"]).items()}


def values_of(item: Property, structures: Mapping[str, Atoms], name: str = "Al fcc") -> tuple[dict[str, Any], Result]:
    """Return the values by name, and the result, of a property of one structure."""
    result = item.measure(name, structures, EMT())
    return {value.name: value.value for value in result.values}, result


def settings(item: type[Property], **content: Any) -> StrictSettings:
    """Return settings of a property."""
    return item.Settings(**content)
