"""Errors just below the shortest distances of the training data: a dense liquid, an alloy and, if tblite is there, a molecule.

    python -m tests.benchmarks.bench_core_repulsion [--functions 150]

Each set is fitted with and without the core repulsion. Prints the force RMSE (eV/Å) on test structures by how far their
shortest distance is below that of the same pair in training, and for each pair the energies (eV) of two atoms at distances
across the onset of the core repulsion.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.md.langevin import Langevin
from ase.neighborlist import neighbor_list
from pyace import PyACECalculator

from aiida_mlip_autopipec.config.schemas.training import TrainingConfig
from aiida_mlip_autopipec.trainer.database import DatabaseManager
from aiida_mlip_autopipec.trainer.pacemaker import PacemakerWrapper

from ..conftest import label_by_emt

BINS = (-np.inf, 0.0, 0.05, 0.15, 0.3, np.inf)


def run_dynamics(atoms: Atoms, temperature: float, steps: int, every: int, seed: int) -> list[Atoms]:
    """Return structures of molecular dynamics with the calculator of the atoms, labelled by it."""
    rng = np.random.default_rng(seed)
    dynamics = Langevin(atoms, 1.0 * units.fs, temperature_K=temperature, friction=0.02 / units.fs, rng=rng)
    frames = []
    for _ in range(steps // every):
        dynamics.run(every)
        frame = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
        labels = {"energy": float(atoms.get_potential_energy()), "forces": atoms.get_forces()}
        frame.calc = SinglePointCalculator(frame, **labels)
        frames.append(frame)
    return frames


def liquid() -> tuple[list[Atoms], list[Atoms]]:
    """Copper at 1,500 K to train on, at 4,000 K and 20 % denser to test on."""
    sides = []
    for temperature, density in ((1500.0, 1.0), (4000.0, 1.2)):
        atoms = bulk("Cu", cubic=True).repeat(2)
        atoms.set_cell(atoms.cell * density ** (-1 / 3), scale_atoms=True)
        atoms.calc = EMT()
        sides.append(run_dynamics(atoms, temperature, 1500, 25, 1))
    return sides[0], sides[1]


def alloy() -> tuple[list[Atoms], list[Atoms]]:
    """Elements and binaries of Cu, Ni, Pd and Au to train on, with unlike pairs near equilibrium; all four to test on."""
    training: list[Atoms] = []
    for seed, symbol in enumerate(("Cu", "Ni", "Pd", "Au")):
        for volume in np.linspace(0.7, 1.2, 12):
            atoms = bulk(symbol, cubic=True)
            atoms.set_cell(atoms.cell * volume ** (1 / 3), scale_atoms=True)
            atoms.rattle(0.15, seed=100 * seed + round(100 * volume))
            training.append(label_by_emt(atoms))
    pairs = [("Cu", "Ni"), ("Cu", "Pd"), ("Cu", "Au"), ("Ni", "Pd"), ("Ni", "Au"), ("Pd", "Au")]
    for pair in pairs:
        for seed in range(8):
            atoms = bulk("Cu", a=3.9, cubic=True).repeat((2, 1, 1))
            atoms.symbols = [pair[n % 2] for n in range(len(atoms))]
            atoms.rattle(0.05, seed=seed)
            training.append(label_by_emt(atoms))
    testing = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        atoms = bulk("Cu", a=3.7, cubic=True).repeat((2, 2, 1))
        atoms.symbols = rng.permutation(["Cu", "Ni", "Pd", "Au"] * 4)
        atoms.rattle(0.05 + 0.005 * seed, seed=seed)
        testing.append(label_by_emt(atoms))
    return training, testing


def ethanol() -> tuple[list[Atoms], list[Atoms]] | None:
    """A molecule of ethanol at 500 K by GFN2-xTB: 200 structures to train on, 300 to test on."""
    try:
        from tblite.ase import TBLite
    except ImportError:
        return None
    atoms = molecule("CH3CH2OH")
    atoms.calc = TBLite(method="GFN2-xTB", verbosity=0)
    frames = run_dynamics(atoms, 500.0, 5000, 10, 2)
    order = np.random.default_rng(0).permutation(len(frames))
    return [frames[n] for n in order[:200]], [frames[n] for n in order[200:]]


def shortest(frames: Sequence[Atoms]) -> dict[tuple[str, ...], float]:
    """Return the shortest distance (Å) of each pair of elements."""
    found: dict[tuple[str, ...], float] = {}
    for atoms in frames:
        symbols = np.array(atoms.get_chemical_symbols())
        first, second, distances = neighbor_list("ijd", atoms, 3.5)
        for a, b, distance in zip(symbols[first], symbols[second], distances, strict=True):
            pair = tuple(sorted((a, b)))
            found[pair] = min(found.get(pair, np.inf), distance)
    return found


def measure(name: str, training: list[Atoms], testing: list[Atoms], functions: int) -> None:
    """Print the errors of both fits, and the energies of two atoms."""
    known = shortest(training)
    below = [
        max((known.get(pair, np.inf) - distance for pair, distance in shortest([atoms]).items()), default=-1.0)
        for atoms in testing
    ]
    print(f"\n{name}: {len(training)} structures to train on, {len(testing)} to test on")
    for repulsion in (True, False):
        with tempfile.TemporaryDirectory() as folder:
            data = Path(folder) / "data.traj"
            DatabaseManager().save_dataset(training, data)
            settings = TrainingConfig(n_functions=functions, core_repulsion=repulsion, test_fraction=0.0)
            calculator = PyACECalculator(str(PacemakerWrapper(Path(folder) / "fit").train(data, settings)))
        errors: dict[int, list[np.ndarray]] = {}
        for atoms, far in zip(testing, below, strict=True):
            copy = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
            copy.calc = calculator
            place = int(np.digitize(far, BINS)) - 1
            errors.setdefault(place, []).append((copy.get_forces() - atoms.get_forces()).ravel())
        print(f"  core repulsion {'on' if repulsion else 'off'}")
        for place in sorted(errors):
            rmse = float(np.sqrt(np.mean(np.concatenate(errors[place]) ** 2)))
            print(
                f"    shortest distance below that in training by {BINS[place]:5.2f} to {BINS[place + 1]:5.2f} Å: "
                f"force RMSE {rmse:8.3f} eV/Å ({len(errors[place])} structures)"
            )
        for pair in sorted(known):
            dimer = Atoms(list(pair), positions=np.zeros((2, 3)))
            dimer.calc = calculator
            curve = []
            for distance in np.arange(0.6, 2.5, 0.2):
                dimer.positions[1, 2] = distance
                curve.append(f"{distance:.1f}: {float(dimer.get_potential_energy()):.1f}")
            print(f"    {'-'.join(pair)} (data from {known[pair]:.2f} Å)  " + "  ".join(curve))


def main() -> None:
    """Measure all sets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--functions", type=int, default=150, help="functions of an element")
    functions = parser.parse_args().functions
    measure("dense liquid copper", *liquid(), functions)
    measure("Cu-Ni-Pd-Au", *alloy(), functions)
    found = ethanol()
    if found is None:
        print("\nethanol: pip install tblite for this part")
    else:
        measure("ethanol", *found, functions)


if __name__ == "__main__":
    main()
