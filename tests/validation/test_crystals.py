"""The crystals of the validation, and the search for their energy minima."""

from __future__ import annotations

import math

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT

from aiida_mlip_autopipec.config.schemas.validation import ValidationConfig
from aiida_mlip_autopipec.generator.crystals import neighbour_distance
from aiida_mlip_autopipec.validation.crystals import (
    SIZE_STEP,
    at_equilibrium,
    best_compounds,
    estimated_crystals,
    references,
)
from aiida_mlip_autopipec.validation.plan import Plan

from .conftest import sized_by_emt


class Repulsion(Calculator):
    """A purely repulsive potential, with which no crystal has an energy minimum."""

    implemented_properties = ["energy"]

    def calculate(self, atoms: Atoms | None = None, *arguments: object) -> None:
        super().calculate(atoms, *arguments)
        self.results["energy"] = len(self.atoms) * 10 / self.atoms.get_volume()


def test_the_minimum_of_a_crystal_is_found() -> None:
    from mlip_evaluate.equilibrium import find_minimum

    found = find_minimum(bulk("Cu", a=3.9), EMT())
    assert found is not None
    factor, energy = found
    assert factor * 3.9 == pytest.approx(3.5898, abs=1e-3)
    assert energy == pytest.approx(-0.00704, abs=1e-4)


def test_estimated_lattice_constant_is_used_without_an_energy_minimum() -> None:
    from mlip_evaluate.equilibrium import find_minimum

    assert find_minimum(bulk("Cu"), Repulsion()) is None
    crystals = estimated_crystals(["Cu"], ValidationConfig())
    for crystal, sized in zip(crystals, at_equilibrium(crystals, {}, {}), strict=True):
        assert np.allclose(crystal.atoms.cell, sized.atoms.cell)


def test_lattice_constants_are_rounded_to_common_values() -> None:
    crystals = estimated_crystals(["Cu"], ValidationConfig(level="quick"))
    near = [at_equilibrium(crystals, {"Cu fcc": factor}, {})[0].atoms for factor in (0.9942, 0.9944)]
    assert np.array_equal(near[0].cell, near[1].cell)
    size = math.log((near[0].get_volume() / crystals[0].atoms.get_volume()) ** (1 / 3)) / SIZE_STEP
    assert size == pytest.approx(round(size))


@pytest.mark.parametrize(("element", "prototype"), [("Cu", "fcc"), ("Fe", "bcc"), ("Mg", "hcp"), ("Si", "diamond")])
def test_reference_is_the_crystal_structure_of_the_element(element: str, prototype: str) -> None:
    crystals = estimated_crystals([element], ValidationConfig())
    assert [crystal.prototype for crystal in references(crystals)] == [prototype]
    assert len(crystals) == 5
    assert neighbour_distance(references(crystals)[0].atoms) == pytest.approx(
        {"Cu": 2.55, "Fe": 2.48, "Mg": 3.2, "Si": 2.35}[element], abs=0.03
    )


def test_reference_of_an_element_without_known_crystal_is_the_best_prototype() -> None:
    crystals = estimated_crystals(["B"], ValidationConfig(level="quick"))
    assert len(crystals) == 5
    energies = {crystal.name: float(number) for number, crystal in enumerate(reversed(crystals))}
    assert references(at_equilibrium(crystals, {}, energies))[0].name == crystals[-1].name


def test_compound_with_the_lowest_formation_energy_is_chosen() -> None:
    crystals = sized_by_emt(["Al", "Cu"], ValidationConfig(level="quick"))
    (best,) = best_compounds(crystals)
    assert best.name == "Al3Cu l1_2"


@pytest.mark.parametrize("element", ["Cu", "Si", "Mg", "As", "Sn", "Ga", "Po", "U"])
def test_validation_of_any_element_needs_few_and_small_structures(element: str) -> None:
    config = ValidationConfig()
    plan = Plan(at_equilibrium(estimated_crystals([element], config), {}, {}), config)
    structures = plan.structures()
    assert 60 <= len(structures) <= 120
    assert max(len(atoms) for atoms in structures.values()) <= 32
    assert all(atoms.info["family"] == name for name, atoms in structures.items())
