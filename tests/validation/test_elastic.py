"""Elastic constants, compared with energies of strained cells and with stresses of relaxed cells."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.optimize import BFGS

from aiida_mlip_autopipec.validation.crystals import ValidationCrystal
from aiida_mlip_autopipec.validation.elastic import ElasticConstants, strained

from .conftest import Measure, labelled, values_of


def energy(crystal: Atoms, deformation: np.ndarray) -> float:
    atoms = crystal.copy()
    atoms.set_cell(crystal.cell.array @ deformation, scale_atoms=True)
    atoms.calc = EMT()
    return float(atoms.get_potential_energy())


def curvature(crystal: Atoms, direction: np.ndarray, step: float = 0.004) -> float:
    """Return the second derivative (GPa) of the energy density along a strain."""
    energies = [energy(crystal, np.eye(3) + amount * direction) for amount in (-step, 0, step)]
    return (energies[0] - 2 * energies[1] + energies[2]) / step**2 / crystal.get_volume() / units.GPa


def test_constants_of_copper_agree_with_energies_of_strained_cells(
    copper_crystals: dict[str, ValidationCrystal], measure: Measure
) -> None:
    values = values_of(measure(ElasticConstants(copper_crystals["fcc"])))
    crystal = bulk("Cu", a=copper_crystals["fcc"].lattice_constant)
    c11 = curvature(crystal, np.diag([1.0, 0.0, 0.0]))
    c44 = curvature(crystal, np.array([[0, 0.5, 0], [0.5, 0, 0], [0, 0, 0]]))
    c11_c12 = curvature(crystal, np.diag([1.0, -1.0, 0.0])) / 2
    assert values["Cu fcc C11"] == pytest.approx(c11, rel=0.02)
    assert values["Cu fcc C44"] == pytest.approx(c44, rel=0.02)
    assert values["Cu fcc C11"] - values["Cu fcc C12"] == pytest.approx(c11_c12, rel=0.02)


def test_internal_relaxation_is_included(copper_crystals: dict[str, ValidationCrystal], measure: Measure) -> None:
    crystal = copper_crystals["hcp"]
    values = values_of(measure(ElasticConstants(crystal)))

    def stress(index: int, amount: float, relax: bool) -> np.ndarray:
        atoms = strained(crystal.atoms, index, amount)
        atoms.calc = EMT()
        if relax:
            BFGS(atoms, logfile=None).run(fmax=1e-6)
        return np.asarray(atoms.get_stress()) / units.GPa

    def constant(row: int, column: int, relax: bool) -> float:
        return float((stress(column, 0.005, relax) - stress(column, -0.005, relax))[row] / 0.01)

    assert values["Cu hcp C11"] == pytest.approx(constant(0, 0, True), rel=0.01)
    assert abs(constant(0, 0, True) - constant(0, 0, False)) > 0.02 * constant(0, 0, True)
    assert values["Cu hcp C33"] == pytest.approx(constant(2, 2, True), rel=0.01)


def test_reason_names_the_missing_stress(copper_crystals: dict[str, ValidationCrystal]) -> None:
    wanted = ElasticConstants(copper_crystals["fcc"])
    labels = labelled(wanted.structures())
    for atoms in labels.values():
        del atoms.calc.results["stress"]
    assert {quantity.reason for quantity in wanted.measure(labels).quantities} == {
        "there is no stress among the labels"
    }
