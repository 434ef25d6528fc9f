"""Accuracy of potentials of Ni and Al that start from the user's phases, and from the elements alone.

    python -m tests.benchmarks.bench_structures [--labels 200] [--start phases elements] [--cutoff 6.0] [--folder DIR]

Prints a table. Both potentials are fitted to the same number of EMT labels with the default settings of a run, except --cutoff.
The test set is independent of the pipeline: molecular dynamics of each phase by EMT at 300 to 1,500 K, vacancies, antisites and
surfaces. Then follow lattice constants and elastic constants of each phase (Voigt diagonal and C12, ions clamped). Phases
that are not stable by EMT are named: NiAl has C11 < C12, and NiAl3 relaxes to another structure.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.build import bulk, make_supercell, surface
from ase.calculators.emt import EMT
from ase.filters import FrechetCellFilter
from ase.io import write
from ase.io.trajectory import Trajectory
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.optimize import FIRE
from ase.spacegroup import crystal

TEMPERATURES = (300, 900, 1500)
REPEATS = {2: (3, 3, 2), 4: (2, 2, 2), 16: (1, 1, 2)}
"""Supercells of the test set by the number of atoms of the cell."""

ELEMENTS = ["Al", "Ni"]


def phases() -> dict[str, Atoms]:
    """Return the five phases at experimental lattice constants; NiAl3 is D0_20 (Bradley and Taylor, 1937)."""
    ni3al = bulk("Ni", "fcc", a=3.572, cubic=True)
    ni3al.symbols = ["Al", "Ni", "Ni", "Ni"]
    basis = [(0.011, 0.25, 0.415), (0.869, 0.25, 0.945), (0.174, 0.053, 0.856)]
    nial3 = crystal(["Al", "Ni", "Al"], basis, spacegroup=62, cellpar=[6.598, 7.352, 4.802, 90, 90, 90])
    return {
        "Ni": bulk("Ni", "fcc", a=3.524, cubic=True),
        "Al": bulk("Al", "fcc", a=4.05, cubic=True),
        "NiAl": bulk("NiAl", "cesiumchloride", a=2.887),
        "Ni3Al": ni3al,
        "NiAl3": Atoms(nial3.numbers, positions=nial3.positions, cell=nial3.cell, pbc=True),
    }


def relaxed(atoms: Atoms, calculator: Any) -> Atoms:
    """Return a crystal relaxed with its cell."""
    copy = atoms.copy()
    copy.calc = calculator
    FIRE(FrechetCellFilter(copy), logfile=None).run(fmax=0.002, steps=500)
    return copy


def dynamics(atoms: Atoms, temperature: float, frames: int, seed: int) -> list[Atoms]:
    """Return frames of molecular dynamics by EMT, 0.12 ps apart, after 0.2 ps."""
    moving = atoms.copy()
    moving.calc = EMT()
    random = np.random.default_rng(seed)
    MaxwellBoltzmannDistribution(moving, temperature_K=temperature, rng=random)
    run = Langevin(moving, 4 * units.fs, temperature_K=temperature, friction=0.02 / units.fs, rng=random)
    run.run(50)
    found: list[Atoms] = []
    for _ in range(frames):
        run.run(30)
        found.append(labelled(moving))
    return found


def labelled(atoms: Atoms) -> Atoms:
    """Return a copy with the labels of EMT."""
    from aiida_mlip_autopipec.dataset.trajectory import attach_labels

    copy = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc, info=dict(atoms.info))
    probe = copy.copy()
    probe.calc = EMT()
    labels = {"energy": probe.get_potential_energy(), "forces": probe.get_forces()}
    if copy.pbc.all():
        labels["stress"] = probe.get_stress()
    return attach_labels(copy, labels)


def test_sets() -> dict[str, list[Atoms]]:
    """Return test structures by kind, labelled by EMT."""
    sets: dict[str, list[Atoms]] = {"dynamics": [], "vacancy": [], "antisite": [], "surface": []}
    for number, (name, atoms) in enumerate(phases().items()):
        cell = relaxed(atoms, EMT())
        large = make_supercell(cell, np.diag(REPEATS[len(cell)]))
        for temperature in TEMPERATURES:
            sets["dynamics"] += dynamics(large, temperature, 4, number)
        vacant = large.copy()
        del vacant[number]
        sets["vacancy"] += dynamics(vacant, 300, 2, number)
        if len(set(cell.symbols)) > 1:
            swapped = large.copy()
            swapped.symbols[0] = "Al" if swapped.symbols[0] == "Ni" else "Ni"
            sets["antisite"] += dynamics(swapped, 300, 2, number)
        for plane in ((1, 0, 0), (1, 1, 0), (1, 1, 1)):
            slab = surface(cell, plane, 3 if len(cell) < 16 else 1, vacuum=6.0, periodic=True)
            sets["surface"] += dynamics(slab, 300, 1, number)
        print(f"test set: {name} done", file=sys.stderr, flush=True)
    return sets


def stored_test_sets(path: Path) -> dict[str, list[Atoms]]:
    """Return the test structures of a file, by kind; it is written if it does not exist."""
    if not path.exists():
        with Trajectory(str(path), "w") as file:
            for name, frames in test_sets().items():
                for atoms in frames:
                    atoms.info["kind"] = name
                    file.write(atoms)
    sets: dict[str, list[Atoms]] = {}
    for atoms in Trajectory(str(path)):
        sets.setdefault(atoms.info["kind"], []).append(atoms)
    return sets


def pool_of(start: str, labels: int, folder: Path) -> list[Atoms]:
    """Return the pool of structures from which a run selects."""
    from aiida_mlip_autopipec.config.schemas.pipeline import PipelineConfig
    from aiida_mlip_autopipec.config.schemas.structures import StructureSource
    from aiida_mlip_autopipec.dataset.files.geometry import read_geometries
    from aiida_mlip_autopipec.dataset.given_structures import prepare_given
    from aiida_mlip_autopipec.generator.structure import StructureGenerator
    from aiida_mlip_autopipec.generator.variations.generator import VariationGenerator

    config = PipelineConfig(elements=ELEMENTS, generator={"count": labels})
    times, block = config.selection.pool, config.selection.block
    if start == "elements":
        return StructureGenerator(config.generator).generate_pool(ELEMENTS, labels, times, block)
    seeds = []
    for name, atoms in phases().items():
        path = folder / f"{name}.cif"
        write(path, atoms)
        seeds += prepare_given(read_geometries(path), StructureSource(file=str(path), name=name), max_atoms=200)
    return VariationGenerator(config.generator, ELEMENTS, seeds).generate_pool(labels, times, block)


def fitted(start: str, labels: int, cutoff: float | None, folder: Path) -> tuple[Any, dict[str, float]]:
    """Return the calculator of the potential, and the reference energy of each element."""
    import json

    from aiida_mlip_autopipec.config.schemas.training import TrainingConfig
    from aiida_mlip_autopipec.trainer.pacemaker import PacemakerWrapper
    from tests.benchmarks.selected import selected

    pool = pool_of(start, labels, folder)
    chosen = selected(pool, labels)
    dataset = folder / f"{start}.traj"
    with Trajectory(str(dataset), "w") as frames:
        for atoms in chosen:
            frames.write(labelled(atoms))
    from pyace import PyACECalculator

    path = PacemakerWrapper(folder / start, workers=1).train(dataset, TrainingConfig(cutoff=cutoff or "auto"))
    metrics = json.loads((path.parent / "metrics.json").read_text())
    print(f"{start}: {len(chosen)} labels; own test set: {metrics['test']}", flush=True)
    return PyACECalculator(str(path)), metrics["reference_energies_eV"]


def errors(frames: list[Atoms], calculator: Any, references: dict[str, float]) -> tuple[float, float]:
    """Return the RMSE of the energies (meV/atom) and forces (eV/Å)."""
    energies, forces = [], []
    for atoms in frames:
        probe = atoms.copy()
        probe.calc = calculator
        shift = sum(references[symbol] for symbol in atoms.symbols)
        energies.append((probe.get_potential_energy() + shift - atoms.calc.results["energy"]) / len(atoms))
        forces.append((probe.get_forces() - atoms.calc.results["forces"]).ravel())
    return 1000 * float(np.sqrt(np.mean(np.square(energies)))), float(
        np.sqrt(np.mean(np.square(np.concatenate(forces))))
    )


def stability(given: Atoms, optimised: Atoms) -> str:
    """Return why a phase is not comparable, or nothing."""
    lengths = optimised.cell.lengths() / given.cell.lengths()
    if np.ptp(lengths) > 0.02 * lengths.mean():
        return "not comparable: relaxes to another structure by EMT"
    unstable = np.linalg.eigvalsh(stiffness(optimised, EMT())).min() <= 0
    return "not comparable: elastically unstable by EMT" if unstable else ""


def elastic(atoms: Atoms, calculator: Any) -> np.ndarray:
    """Return C11, C22, C33, C44, C55, C66 and C12 (GPa)."""
    matrix = stiffness(atoms, calculator)
    return np.array([*np.diag(matrix), matrix[0, 1]])


def stiffness(atoms: Atoms, calculator: Any) -> np.ndarray:
    """Return the elastic constants (6, 6) in GPa with clamped ions, by stresses at strains of 0.5 %."""
    size, stresses = 0.005, []
    for component in range(6):
        pair = []
        for sign in (1, -1):
            strain = np.zeros((3, 3))
            i, j = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))[component]
            strain[i, j] += sign * size / 2
            strain[j, i] += sign * size / 2
            changed = atoms.copy()
            changed.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
            changed.calc = calculator
            pair.append(changed.get_stress())
        stresses.append((pair[0] - pair[1]) / (2 * size) / units.GPa)
    matrix = np.array(stresses)
    return (matrix + matrix.T) / 2


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=int, default=200)
    parser.add_argument("--start", nargs="*", choices=["phases", "elements"], default=["phases", "elements"])
    parser.add_argument("--cutoff", type=float, help="Cutoff in Å; by default it is optimised, which takes long.")
    parser.add_argument("--folder", type=Path, help="Keep the files there, and reuse the test set.")
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    sets = stored_test_sets(folder / "test.traj")
    print({name: len(frames) for name, frames in sets.items()})
    for start in arguments.start:
        calculator, references = fitted(start, arguments.labels, arguments.cutoff, folder)
        everything = [atoms for frames in sets.values() for atoms in frames]
        for name, frames in {**sets, "all": everything}.items():
            energy, force = errors(frames, calculator, references)
            print(f"{start:9} {name:9} energy {energy:7.2f} meV/atom  force {force:.4f} eV/Å", flush=True)
        for name, atoms in phases().items():
            theirs, ours = relaxed(atoms, EMT()), relaxed(atoms, calculator)
            lengths = 100 * (ours.cell.lengths() / theirs.cell.lengths() - 1)
            constants = elastic(theirs, EMT())
            off = 100 * (elastic(ours, calculator) / constants - 1)
            print(
                f"{start:9} {name:6} lattice {lengths.round(2)} %  elastic {off.round(1)} % of {constants.round(0)} GPa "
                f"{stability(atoms, theirs)}",
                flush=True,
            )


if __name__ == "__main__":
    main()
