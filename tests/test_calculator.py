"""The calculator that the package offers."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111

from aiida_mlip_autopipec.calculator import load
from aiida_mlip_autopipec.config.errors import UserError

from .training.conftest import fitted, small_fit, thirty_copper  # noqa: F401


@pytest.fixture
def crystal() -> Atoms:
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.05, seed=1)
    return atoms


def test_energies_include_the_free_atoms(fitted: Path) -> None:  # noqa: F811
    atom = Atoms("Cu", calculator=load(fitted / "potential.yace"))
    assert atom.get_potential_energy() == pytest.approx(3.51, abs=1e-6)


def test_results_of_yace_and_yaml_agree_and_have_expected_errors(fitted: Path, crystal: Atoms) -> None:  # noqa: F811
    calculator = load(fitted / "potential.yace")
    crystal.calc = calculator
    energy, forces, stress = crystal.get_potential_energy(), crystal.get_forces(), crystal.get_stress()
    grades = calculator.get_property("grades", crystal)
    assert grades.shape == (4,) and (grades > 0).all()
    assert calculator.results["energy"] == pytest.approx(energy, abs=1e-4)
    assert np.allclose(calculator.results["forces"], forces, atol=1e-4)
    assert np.allclose(calculator.results["stress"], stress, atol=1e-5)
    assert calculator.get_property("expected_force_errors", crystal).shape == (4,)
    assert isinstance(calculator.get_property("expected_energy_error", crystal), float)


def test_slab_periodic_in_two_directions_equals_one_with_vacuum(fitted: Path) -> None:  # noqa: F811
    slab = fcc111("Cu", (1, 1, 3))
    slab.rattle(0.05, seed=1)
    in_vacuum = slab.copy()
    in_vacuum.center(vacuum=10.0, axis=2)
    in_vacuum.pbc = True
    slab.calc, in_vacuum.calc = load(fitted / "potential.yace"), load(fitted / "potential.yace")
    assert slab.pbc.tolist() == [True, True, False]
    assert slab.get_potential_energy() == pytest.approx(in_vacuum.get_potential_energy(), abs=1e-8)
    assert np.allclose(slab.get_forces(), in_vacuum.get_forces(), atol=1e-8)


def test_error_names_missing_files(fitted: Path, tmp_path: Path) -> None:  # noqa: F811
    shutil.copy(fitted / "potential.yace", tmp_path)
    with pytest.raises(UserError, match=r"potential\.asi.*mlip-auto run --output"):
        load(tmp_path / "potential.yace")


def test_error_names_an_unknown_element(fitted: Path) -> None:  # noqa: F811
    with pytest.raises(UserError, match="no element Au; its elements are Cu"):
        Atoms("Au", calculator=load(fitted / "potential.yace")).get_potential_energy()
