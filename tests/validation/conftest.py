"""Validations with effective medium theory as potential and as oracle, without AiiDA."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from ase import Atoms
from ase.calculators.emt import EMT

from aiida_mlip_autopipec.config.schemas.validation import ValidationConfig
from aiida_mlip_autopipec.validation.crystals import ValidationCrystal, at_equilibrium, estimated_crystals
from aiida_mlip_autopipec.validation.measurement import Measurement, Property

from ..conftest import label_by_emt

Measure = Callable[[Property], Measurement]


def sized_by_emt(elements: list[str], config: ValidationConfig) -> list[ValidationCrystal]:
    from mlip_evaluate.equilibrium import find_minimum

    crystals = estimated_crystals(elements, config)
    minima = {crystal.name: find_minimum(crystal.atoms, EMT()) for crystal in crystals}
    found = {name: minimum for name, minimum in minima.items() if minimum is not None}
    return at_equilibrium(
        crystals, {name: factor for name, (factor, _) in found.items()}, {name: e for name, (_, e) in found.items()}
    )


@pytest.fixture(scope="session")
def copper_crystals() -> dict[str, ValidationCrystal]:
    """Copper crystals at the energy minima of effective medium theory, by prototype."""
    return {crystal.prototype: crystal for crystal in sized_by_emt(["Cu"], ValidationConfig())}


@pytest.fixture
def measure() -> Measure:
    """Return the measurement of a property by effective medium theory."""

    def run(wanted: Property) -> Measurement:
        return wanted.measure(labelled(wanted.structures()))

    return run


def labelled(structures: dict[str, Atoms]) -> dict[str, Atoms]:
    return {name: label_by_emt(atoms) for name, atoms in structures.items()}


def values_of(measurement: Measurement) -> dict[str, float]:
    """Return the values by quantity and structure."""
    return {f"{quantity.structure} {quantity.name}": quantity.value for quantity in measurement.quantities}
