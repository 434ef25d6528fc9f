"""The worked examples of the documentation, as a user runs them; each ends with a potential that agrees with its oracle."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from ase.filters import FrechetCellFilter
from ase.io import read
from ase.optimize import FIRE

from aiida_mlip_autopipec.calculator import load

from ..conftest import Command

EXAMPLES = Path(__file__).parents[2] / "examples"

Run = Callable[[str], tuple[Calculator, dict[str, dict[str, float]]]]


@pytest.fixture
def run(run_program: Command, tmp_path: Path) -> Run:
    """Run an example by its command; return the calculator of its potential and its errors."""

    def run(name: str) -> tuple[Calculator, dict[str, dict[str, float]]]:
        done = run_program("mlip-auto", "run", EXAMPLES / name / "CONFIG.yaml", "--output", tmp_path / name)
        assert done.returncode == 0, done.stdout + done.stderr
        metrics = json.loads((tmp_path / name / "metrics.json").read_text())
        return load(tmp_path / name / "potential.yace"), metrics

    return run


def relaxed(atoms: Atoms, calculator: Calculator, *, with_cell: bool = False) -> Atoms:
    """Return relaxed atoms, with their calculator."""
    copy = atoms.copy()
    copy.calc = calculator
    FIRE(FrechetCellFilter(copy) if with_cell else copy, logfile=None).run(fmax=0.02, steps=300)
    return copy


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pw.x") is None, reason="pw.x is not installed")
def test_lattice_constant_of_magnesium_oxide_agrees_with_pw(run: Run, silicon_upf: Path) -> None:
    potential, metrics = run("magnesium_oxide")
    crystal = relaxed(read(EXAMPLES / "magnesium_oxide" / "MgO.cif"), potential, with_cell=True)
    # By pw.x with the settings of the example.
    assert crystal.cell.lengths() == pytest.approx(4.188, rel=0.01)
    assert metrics["test"]["force_rmse_eV_per_A"] < 0.3


@pytest.mark.slow
def test_phases_of_nickel_and_aluminium_agree_with_the_oracle(run: Run) -> None:
    potential, _ = run("nickel_aluminium")
    energies = {}
    for name in ("Ni", "Al", "Ni3Al"):
        crystal = read(EXAMPLES / "nickel_aluminium" / f"{name}.cif")
        ours, reference = (relaxed(crystal, calculator, with_cell=True) for calculator in (potential, EMT()))
        assert ours.cell.lengths() == pytest.approx(reference.cell.lengths(), rel=0.01)
        energies[name] = [atoms.get_potential_energy() / len(atoms) for atoms in (ours, reference)]
    formation = np.array(energies["Ni3Al"]) - 0.75 * np.array(energies["Ni"]) - 0.25 * np.array(energies["Al"])
    assert formation[0] == pytest.approx(formation[1], abs=0.03)


@pytest.mark.slow
def test_adsorption_of_oxygen_on_copper_agrees_with_the_oracle(run: Run) -> None:
    potential, _ = run("oxygen_on_copper")
    slabs = read(EXAMPLES / "oxygen_on_copper" / "oxygen_on_copper.extxyz", ":")
    found = []
    for slab in slabs[:2]:
        slab.set_constraint(FixAtoms(range(8)))
        for calculator in (potential, EMT()):
            atoms = relaxed(slab, calculator)
            height = atoms.positions[16, 2] - atoms.positions[12:16, 2].mean()
            found.append((height, atoms.get_potential_energy()))
    ours, reference, our_hcp, reference_hcp = found
    assert ours[0] == pytest.approx(reference[0], abs=0.1)
    assert our_hcp[1] - ours[1] == pytest.approx(reference_hcp[1] - reference[1], abs=0.05)


@pytest.mark.slow
def test_geometries_of_small_molecules_agree_with_the_oracle(run: Run) -> None:
    tblite = pytest.importorskip("tblite.ase")
    potential, _ = run("small_molecules")
    for name, bond in (("H2O", (0, 1)), ("CH4", (0, 1)), ("CO2", (0, 1)), ("CH3OH", (0, 1))):
        shapes = []
        for calculator in (potential, tblite.TBLite(method="GFN2-xTB", verbosity=0)):
            shapes.append(relaxed(molecule(name), calculator).get_distance(*bond))
        assert shapes[0] == pytest.approx(shapes[1], abs=0.02), name


@pytest.mark.slow
def test_random_alloys_of_five_elements_agree_with_the_oracle(run: Run) -> None:
    potential, _ = run("five_elements")
    random = np.random.default_rng(3)
    errors = []
    for _ in range(4):
        alloy = bulk("Cu", a=3.85, cubic=True) * 2
        alloy.symbols = random.choice(["Ag", "Al", "Cu", "Ni", "Pd"], len(alloy))
        alloy.positions += random.normal(0.0, 0.1, alloy.positions.shape)
        forces, energies = [], []
        for calculator in (potential, EMT()):
            alloy.calc = calculator
            forces.append(alloy.get_forces())
            energies.append(alloy.get_potential_energy() / len(alloy))
        errors.append(forces[0] - forces[1])
        assert energies[0] == pytest.approx(energies[1], abs=0.05)
        ours, reference = (relaxed(alloy, calculator, with_cell=True) for calculator in (potential, EMT()))
        assert ours.get_volume() == pytest.approx(reference.get_volume(), rel=0.02)
    assert np.sqrt(np.mean(np.square(errors))) < 0.2
