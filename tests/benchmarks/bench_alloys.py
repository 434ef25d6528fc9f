"""Accuracy of alloy potentials with default settings: errors, and passed checks of the validation.

    python -m tests.benchmarks.bench_alloys Cu-Au Ni-Al Ag-Pd Cu-Ni Al-Pt Pd-Cu Ag-Au-Cu Ni-Al-Pt [--labels 300]
        [--training KEY=VALUE ...] [--generator KEY=VALUE ...] [--folder DIR]

As a run does, each fit selects its structures (`--labels` for each element) from the default pool; labels are those of ASE's
effective medium theory. Prints a row for each system: errors on the test set of the fit, errors on an independent test
set (molecular dynamics by the oracle), and how many of the comparable checks pass; then the failed checks.
--training and --generator change settings, as JSON. No AiiDA profile is needed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.build import bulk, fcc111
from ase.calculators.emt import EMT
from ase.io.trajectory import Trajectory
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution

import aiida_mlip_autopipec
from aiida_mlip_autopipec.calculator import load
from aiida_mlip_autopipec.config.schemas.generator import GeneratorConfig
from aiida_mlip_autopipec.config.schemas.selection import SelectionConfig
from aiida_mlip_autopipec.config.schemas.training import TrainingConfig
from aiida_mlip_autopipec.config.schemas.validation import ValidationConfig
from aiida_mlip_autopipec.dataset.traj_file import write_traj
from aiida_mlip_autopipec.generator.crystals import close_packed_volume
from aiida_mlip_autopipec.generator.structure import StructureGenerator
from aiida_mlip_autopipec.trainer.pacemaker import PacemakerWrapper
from aiida_mlip_autopipec.validation.checks import Check, compare
from aiida_mlip_autopipec.validation.crystals import at_equilibrium, estimated_crystals
from aiida_mlip_autopipec.validation.plan import Plan
from tests.benchmarks.broad_copper import label_by_emt
from tests.benchmarks.selected import selected

sys.path.insert(0, str(Path(aiida_mlip_autopipec.__file__).parent / "jobs"))

from mlip_evaluate.equilibrium import find_minimum

SYSTEMS = ("Cu-Au", "Ni-Al", "Ag-Pd", "Cu-Ni", "Al-Pt", "Cu-Pd", "Ag-Au-Cu", "Al-Ni-Pt")


def structures_to_label(elements: Sequence[str], count: int, settings: Mapping[str, Any]) -> list[Atoms]:
    """Return the structures that a default run labels."""
    config = SelectionConfig()
    pool = StructureGenerator(GeneratorConfig(**settings)).generate_pool(elements, count, config.pool, config.block)
    return selected(pool, count)


def independent_structures(elements: Sequence[str]) -> Iterator[Atoms]:
    """Yield frames of molecular dynamics by the oracle: elements, random alloys, vacancies, surfaces and liquids."""
    random = np.random.default_rng(2026)
    compositions = [{element: 1.0} for element in elements]
    for element in elements:
        rest = (1 - 0.7) / (len(elements) - 1)
        compositions.append({other: 0.7 if other == element else rest for other in elements})
    compositions += [{element: 1 / len(elements) for element in elements}]
    compositions += [
        {element: 0.97 if element == host else 0.03 / (len(elements) - 1) for element in elements} for host in elements
    ]
    for composition in compositions:
        length = (4 * sum(share * close_packed_volume(symbol) for symbol, share in composition.items())) ** (1 / 3)
        crystal = _decorated(bulk("Cu", "fcc", a=length, cubic=True) * (2, 2, 2), composition, random)
        yield from _dynamics("solid", crystal, (300, 900), random)
        vacant = crystal.copy()
        del vacant[int(random.integers(len(vacant)))]
        yield from _dynamics("vacancy", vacant, (600,), random)
        slab = _decorated(fcc111("Cu", (2, 2, 5), a=length, vacuum=6.0), composition, random)
        slab.pbc = True
        yield from _dynamics("surface", slab, (400,), random)
        melt = crystal.copy()
        melt.set_cell(melt.cell * 1.03, scale_atoms=True)
        melt.positions += random.normal(0.0, 0.3, melt.positions.shape)
        yield from _dynamics("liquid", melt, (2000,), random)


def _decorated(lattice: Atoms, composition: Mapping[str, float], random: np.random.Generator) -> Atoms:
    symbols: list[str] = []
    for element, share in sorted(composition.items(), key=lambda item: item[1]):
        symbols += [element] * max(1, round(share * len(lattice)))
    host = max(composition, key=lambda element: composition[element])
    symbols = (symbols + [host] * len(lattice))[: len(lattice)]
    made = lattice.copy()
    made.symbols = [symbols[index] for index in random.permutation(len(symbols))]
    return made


def _dynamics(kind: str, start: Atoms, temperatures: Sequence[float], random: np.random.Generator) -> Iterator[Atoms]:
    for temperature in temperatures:
        atoms = start.copy()
        atoms.calc = EMT()
        MaxwellBoltzmannDistribution(atoms, temperature_K=temperature, rng=random)
        run = Langevin(atoms, 3 * units.fs, temperature_K=temperature, friction=0.02 / units.fs, rng=random)
        run.run(100 if kind == "liquid" else 60)
        for _ in range(2):
            run.run(40)
            frame = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
            frame.info = {"family": kind}
            yield frame


def errors(frames: Sequence[Atoms], calculator: Any) -> dict[str, tuple[float, float]]:
    """Return the RMSE of energies (meV/atom) and forces (eV/Å) of each kind and of all."""
    energies: dict[str, list[float]] = {}
    forces: dict[str, list[np.ndarray]] = {}
    for atoms in frames:
        probe = atoms.copy()
        probe.calc = calculator
        energy = 1000 * (probe.get_potential_energy() - atoms.get_potential_energy()) / len(atoms)
        force = (probe.get_forces() - atoms.get_forces()).ravel()
        for kind in (str(atoms.info["family"]), "all"):
            energies.setdefault(kind, []).append(energy)
            forces.setdefault(kind, []).append(force)
    return {kind: (_rms(energies[kind]), _rms(np.concatenate(forces[kind]))) for kind in energies}


def _rms(values: Any) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def checks(elements: Sequence[str], potential: Path) -> list[Check]:
    """Return the checks of the validation of a run, without molecular dynamics."""
    config = ValidationConfig()
    calculator = load(potential)
    crystals = estimated_crystals(elements, config)
    minima = {crystal.name: find_minimum(crystal.atoms, calculator) for crystal in crystals}
    free = json.loads((potential.parent / "metrics.json").read_text())["reference_energies_eV"]
    energies = {
        crystal.name: minimum[1] - float(np.mean([free[symbol] for symbol in crystal.atoms.symbols]))
        for crystal in crystals
        if (minimum := minima[crystal.name]) is not None
    }
    factors = {name: minimum[0] for name, minimum in minima.items() if minimum is not None}
    plan = Plan(at_equilibrium(crystals, factors, energies), config)
    sides = []
    for oracle in (calculator, EMT()):
        labelled = {}
        for name, structure in plan.structures().items():
            atoms = structure.copy()
            atoms.calc = oracle
            atoms.get_forces()
            if atoms.pbc.all():
                atoms.get_stress()
            labelled[name] = atoms
            atoms.calc = _frozen(atoms)
        sides.append(plan.measure(labelled))
    return compare(*sides, config.limits)


def _frozen(atoms: Atoms) -> Any:
    from ase.calculators.singlepoint import SinglePointCalculator

    results = {key: value for key, value in atoms.calc.results.items() if key in ("energy", "forces", "stress")}
    return SinglePointCalculator(atoms, **results)


def measure(
    system: str, labels: int, training: Mapping[str, Any], generator: Mapping[str, Any], folder: Path
) -> dict[str, Any]:
    """Fit the potential of a system, and return its errors and checks."""
    elements = sorted(system.split("-"))
    folder.mkdir(parents=True, exist_ok=True)
    test = folder / "independent.traj"
    if not test.exists():
        write_traj(test, map(label_by_emt, independent_structures(elements)))
    dataset = folder / "data.traj"
    if not dataset.exists():
        write_traj(dataset, map(label_by_emt, structures_to_label(elements, labels * len(elements), generator)))
    start = time.perf_counter()
    potential = PacemakerWrapper(folder / "fit", workers=1).train(dataset, TrainingConfig(**training))
    seconds = time.perf_counter() - start
    metrics = json.loads((potential.parent / "metrics.json").read_text())
    found = checks(elements, potential)
    return {
        "system": system,
        "functions": metrics["n_functions"],
        "seconds": seconds,
        "own": metrics["test"],
        "independent": errors(list(Trajectory(str(test))), load(potential)),
        "passed": sum(check.passed is True for check in found),
        "checks": sum(check.passed is not None for check in found),
        "failed": [
            f"{check.name}: {check.structure} {check.quantity}: {check.reason}; {check.potential} {check.oracle}"
            for check in found
            if not check.passed
        ],
    }


def _failure(check: Check) -> str:
    return (
        f"{check.name}: {check.structure} {check.quantity}: {check.reason} ({check.potential}, oracle {check.oracle})"
    )


def _settings(given: Sequence[str]) -> dict[str, Any]:
    return {key: json.loads(value) for key, _, value in (item.partition("=") for item in given)}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("systems", nargs="*", default=SYSTEMS)
    parser.add_argument("--labels", type=int, default=300, help="for each element")
    parser.add_argument("--training", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--generator", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--folder", type=Path, help="keeps datasets and fits, and reuses datasets")
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp())
    for system in arguments.systems:
        row = measure(
            system, arguments.labels, _settings(arguments.training), _settings(arguments.generator), folder / system
        )
        own = row["own"]
        print(json.dumps(own))
        print(f"{system}: {row['functions']} functions, {row['seconds']:.0f} s; {row['passed']}/{row['checks']} checks")
        for kind, (energy, force) in row["independent"].items():
            print(f"   {kind:8} {energy:7.2f} meV/atom {force:.4f} eV/Å")
        print("\n".join("   " + line for line in row["failed"]), flush=True)


if __name__ == "__main__":
    main()
