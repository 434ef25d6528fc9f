"""Lattice constant, bulk modulus and energies, compared with the methods of ASE."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.eos import EquationOfState
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS

from aiida_mlip_autopipec.validation.crystals import ValidationCrystal
from aiida_mlip_autopipec.validation.equation_of_state import CrystalCurves, atom_name, eos_name

from ..conftest import label_by_emt
from .conftest import Measure, labelled, values_of


def curves_of(crystals: dict[str, ValidationCrystal]) -> CrystalCurves:
    return CrystalCurves(list(crystals.values()), {"Cu": crystals["fcc"].name})


def relaxed_by_ase(atoms: Atoms) -> Atoms:
    atoms.calc = EMT()
    BFGS(FrechetCellFilter(atoms), logfile=None).run(fmax=1e-5)
    return atoms


def test_lattice_constants_are_those_of_a_relaxation_of_the_cell(
    copper_crystals: dict[str, ValidationCrystal], measure: Measure
) -> None:
    values = values_of(measure(curves_of(copper_crystals)))
    for name in ("fcc", "bcc", "sc"):
        relaxed = relaxed_by_ase(bulk("Cu", name, a=copper_crystals[name].lattice_constant))
        assert values[f"Cu {name} a"] == pytest.approx(relaxed.cell.get_bravais_lattice().a, rel=1e-4)


def test_the_bulk_modulus_is_that_of_a_fine_grid(
    copper_crystals: dict[str, ValidationCrystal], measure: Measure
) -> None:
    volumes, energies = [], []
    for a in 3.59 * np.linspace(0.995, 1.005, 7):
        atoms = bulk("Cu", a=a)
        atoms.calc = EMT()
        volumes.append(atoms.get_volume())
        energies.append(atoms.get_potential_energy())
    modulus = EquationOfState(volumes, energies).fit()[2] / units.GPa
    assert values_of(measure(curves_of(copper_crystals)))["Cu fcc B"] == pytest.approx(modulus, rel=0.01)


def test_energies_are_relative_to_the_reference_crystal(
    copper_crystals: dict[str, ValidationCrystal], measure: Measure
) -> None:
    values = values_of(measure(curves_of(copper_crystals)))
    energies = {
        name: relaxed_by_ase(bulk("Cu", name, a=copper_crystals[name].lattice_constant)).get_potential_energy()
        for name in ("fcc", "bcc")
    }
    assert values["Cu bcc energy above Cu fcc"] == pytest.approx(energies["bcc"] - energies["fcc"], abs=1e-4)
    assert "Cu fcc energy above Cu fcc" not in values


def test_cohesive_energy_is_relative_to_the_free_atom(copper_crystals: dict[str, ValidationCrystal]) -> None:
    curves = CrystalCurves([copper_crystals["fcc"]], {"Cu": "Cu fcc"}, with_atoms=True)
    labels = {**labelled(curves.structures()), atom_name("Cu"): label_by_emt(Atoms("Cu"))}
    expected = 3.51 - relaxed_by_ase(bulk("Cu", a=3.6)).get_potential_energy()
    assert values_of(curves.measure(labels))["Cu fcc cohesive energy"] == pytest.approx(expected, abs=1e-4)
    del labels[atom_name("Cu")]
    missing = curves.measure(labels).quantities[-1]
    assert np.isnan(missing.value) and missing.reason == "'Cu atom' has no label"


def test_minimum_outside_the_computed_volumes_is_not_used(copper_crystals: dict[str, ValidationCrystal]) -> None:
    crystal = copper_crystals["fcc"]
    curves = CrystalCurves([crystal], {"Cu": crystal.name})
    labels = labelled(curves.structures())
    for step in (-3, -2, -1):
        del labels[eos_name(crystal, step)]
    assert "has no label" in str(curves.measure(labels).quantities[0].reason)
    larger = CrystalCurves([ValidationCrystal("Cu fcc", "fcc", bulk("Cu", a=4.0))], {"Cu": "Cu fcc"})
    lattice = larger.measure(labelled(larger.structures())).quantities[0]
    assert np.isnan(lattice.value) and "no energy minimum between" in str(lattice.reason)
