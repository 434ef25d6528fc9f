"""The core repulsion below the shortest distances of the data, and potentials that are refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.data import atomic_numbers, covalent_radii
from mlip_common.errors import ProgramError
from mlip_train.repulsion import BONDED, _core_parameters, onset, zbl_energy
from pyace import PyACECalculator

from aiida_mlip_autopipec.config.schemas.training import TrainingConfig
from aiida_mlip_autopipec.trainer.database import DatabaseManager
from aiida_mlip_autopipec.trainer.pacemaker import TrainingFailedError

from ..conftest import label_by_emt
from .conftest import WarmPacemaker

SETTINGS = TrainingConfig(cutoff=5.0, order=3, n_functions=20)


def train(frames: list[Atoms], folder: Path, settings: TrainingConfig = SETTINGS) -> Path:
    """Fit to frames with EMT labels; return the folder of the potential."""
    DatabaseManager().save_dataset([label_by_emt(atoms) for atoms in frames], folder / "data.traj")
    return WarmPacemaker(folder / "fit", workers=1).train(folder / "data.traj", settings).parent


def dimer_curve(folder: Path, pair: tuple[str, str], distances: np.ndarray) -> np.ndarray:
    """Return the dimer energies (eV) of a potential."""
    dimer = Atoms(list(pair), positions=np.zeros((2, 3)))
    dimer.calc = PyACECalculator(str(folder / "potential.yace"))
    energies = []
    for distance in distances:
        dimer.positions[1, 2] = distance
        energies.append(float(dimer.get_potential_energy()))
    return np.array(energies)


def rattled(symbol: str, volumes: np.ndarray, seed: int) -> list[Atoms]:
    frames = []
    for number, volume in enumerate(volumes):
        atoms = bulk(symbol, cubic=True)
        atoms.set_cell(atoms.cell * volume ** (1 / 3), scale_atoms=True)
        atoms.rattle(0.12, seed=seed + number)
        frames.append(atoms)
    return frames


@pytest.fixture(scope="module")
def alloy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A potential of copper and gold, with data of unlike pairs only near the distance in a crystal."""
    compounds = [bulk("CuAu", "cesiumchloride", a=a, cubic=True) for a in np.linspace(3.0, 3.3, 8)]
    for seed, atoms in enumerate(compounds):
        atoms.rattle(0.03, seed=seed)
    elements = rattled("Cu", np.linspace(0.7, 1.2, 12), 0) + rattled("Au", np.linspace(0.7, 1.2, 12), 100)
    return train([*elements, *compounds], tmp_path_factory.mktemp("alloy"))


@pytest.mark.parametrize(
    "pair", [("O", "H"), ("C", "C"), ("O", "O"), ("Cu", "Cu"), ("Au", "Cu"), ("W", "W"), ("Li", "Li")]
)
def test_the_onset_is_below_any_bond_and_independent_of_the_data(pair: tuple[str, str]) -> None:
    radii = sum(covalent_radii[atomic_numbers[symbol]] for symbol in pair)
    assert onset(*pair) < 0.72 * radii
    assert zbl_energy(*pair, onset(*pair)) > 2.0
    assert onset(*pair, shortest=2.74) == onset(*pair)
    assert onset(*pair, shortest=0.3) == 0.3


@pytest.mark.parametrize("pair", [("Cu", "Cu"), ("Au", "Au"), ("Au", "Cu")])
def test_dimer_curve_across_the_onset_has_no_jump_and_no_minimum(alloy: Path, pair: tuple[str, str]) -> None:
    radii = sum(covalent_radii[atomic_numbers[symbol]] for symbol in pair)
    distances = np.arange(0.3, BONDED * radii, 0.005)
    energies = dimer_curve(alloy, pair, distances)
    forces = -np.diff(energies) / 0.005
    assert (forces > 0).all()
    # A smooth force changes little between two steps.
    assert np.abs(np.diff(forces)).max() < 0.2 * forces.max()
    chosen = json.loads((alloy / "metrics.json").read_text())["chosen"]["core_repulsion"]
    assert chosen["-".join(pair)]["onset_A"] < 2.0


def test_force_errors_of_slightly_denser_structures_are_limited(alloy: Path) -> None:
    calculator = PyACECalculator(str(alloy / "potential.yace"))
    for atoms in rattled("Cu", np.array([0.6, 0.65]), 50):
        reference = label_by_emt(atoms)
        atoms.calc = calculator
        assert np.abs(atoms.get_forces() - reference.get_forces()).max() < 8.0


def test_underdetermined_fit_is_refused(tmp_path: Path) -> None:
    # Single-atom cells of copper at several volumes: the data do not determine the energy of displacements.
    cells = Path(__file__).parent / "data" / "single_atom_cells.extxyz"
    with pytest.raises(TrainingFailedError, match=r"not usable.*displac"):
        WarmPacemaker(tmp_path / "fit", workers=1).train(cells, TrainingConfig(ridge=1e-10, embedding=False))
    assert not (tmp_path / "fit" / "potential.yace").exists()


HOSTILE = {
    "volumes": [bulk("Cu", a=a) for a in np.linspace(3.3, 4.2, 14)],
    "one structure": [bulk("Cu", a=3.6)] * 3,
    "dimers": [Atoms("Cu2", positions=[[0, 0, 0], [0, 0, r]]) for r in np.linspace(1.8, 4.5, 20)],
    "diamond": [bulk("Cu", "diamond", a=a) for a in np.linspace(5.0, 6.0, 12)],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_written_potential_is_reasonable_on_displaced_structures(name: str, tmp_path: Path) -> None:
    try:
        folder = train(HOSTILE[name], tmp_path, TrainingConfig(cutoff=5.0))
    except TrainingFailedError as error:
        assert "not usable" in str(error)
        return
    calculator = PyACECalculator(str(folder / "potential.yace"))
    atoms = HOSTILE[name][len(HOSTILE[name]) // 2]
    atoms = atoms.repeat(3) if atoms.pbc.all() else atoms.copy()
    atoms.calc = calculator
    before = atoms.get_potential_energy()
    atoms.rattle(0.05, seed=5)
    assert abs(atoms.get_potential_energy() - before) / len(atoms) < 3.0
    assert np.abs(atoms.get_forces()).max() < 40.0


def test_functions_that_vanish_by_symmetry_get_no_coefficients(tmp_path: Path) -> None:
    crystals = [bulk("Cu", "hcp", a=2.55 * x, c=4.16 * x) for x in np.linspace(0.93, 1.15, 16)]
    folder = train(crystals, tmp_path, TrainingConfig(cutoff=5.0, n_functions=12, ridge=1e-12))
    supercell = crystals[8].repeat(2)
    supercell.rattle(0.05, seed=1)
    supercell.calc = PyACECalculator(str(folder / "potential.yace"))
    assert abs(supercell.get_potential_energy()) / len(supercell) < 10.0


def test_a_core_repulsion_that_cannot_be_monotonic_is_a_failure() -> None:
    distances = np.arange(0.1, 2.0, 0.01)
    well = np.where(distances < 1.0, -1e9, 0.0)
    with pytest.raises(ProgramError, match="not usable: Cu and Cu atoms attract each other below"):
        _core_parameters(("Cu", "Cu"), 1.41, distances, well)


def test_a_core_repulsion_grows_until_it_is_monotonic() -> None:
    distances = np.arange(0.1, 2.0, 0.01)
    hump = 5.0 * np.exp(-(((distances - 1.4) / 0.1) ** 2))
    amplitude, falloff = _core_parameters(("Cu", "Cu"), 1.41, distances, hump)
    inside = distances[distances < 1.41 * 0.75]
    assert (np.diff(2.0 * amplitude * np.exp(-falloff * inside**2) / inside) < 0).all()
