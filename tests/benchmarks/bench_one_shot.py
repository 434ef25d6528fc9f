"""The cost of the workflow over a bare script that does the same in one process, and how good the potential is.

    python -m tests.benchmarks.bench_one_shot [--element Cu] [--counts 200 400]

Prints JSON. For each number of structures, side by side: the wall time of `OneShotWorkChain`, given to a daemon on a fresh
temporary profile, and of the same generation, labelling, curation and fit without AiiDA. For the first: the errors of the
potential, its lattice constant, bulk modulus and dimer curve against the oracle.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.data import covalent_radii
from ase.eos import EquationOfState
from ase.io.trajectory import Trajectory
from ase.optimize import BFGS
from ase.units import GPa

from tests.benchmarks.profile import temporary_profile


def run_workflow(element: str, count: int) -> tuple[float, Any]:
    """Return the seconds from submission to the end, and the finished run."""
    from aiida.engine import submit

    from aiida_mlip_autopipec.config.schemas.pipeline import PipelineConfig
    from aiida_mlip_autopipec.workflows.builder import build_one_shot

    builder = build_one_shot(PipelineConfig(elements=[element], generator={"count": count}, selection="none"))
    start = time.perf_counter()
    run = submit(builder)
    while not run.is_terminated:
        time.sleep(0.2)
    seconds = time.perf_counter() - start
    if not run.is_finished_ok:
        raise SystemExit(f"the run failed: {run.exit_message}")
    return seconds, run


def run_bare(element: str, count: int, folder: Path) -> float:
    """Return the seconds the same work takes without AiiDA."""
    from aiida_mlip_autopipec.config.schemas.pipeline import PipelineConfig
    from aiida_mlip_autopipec.dataset.curate import curate
    from aiida_mlip_autopipec.dataset.trajectory import attach_labels
    from aiida_mlip_autopipec.generator.structure import StructureGenerator
    from aiida_mlip_autopipec.trainer.pacemaker import PacemakerWrapper

    start = time.perf_counter()
    config = PipelineConfig(elements=[element], generator={"count": count})
    structures = StructureGenerator(config.generator).generate_initial_set(element, count)
    calculator = EMT()
    for atoms in structures:
        atoms.calc = calculator
        labels = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
        if atoms.pbc.all():
            labels["stress"] = atoms.get_stress()
        attach_labels(atoms, labels)
    training = config.training
    curation = curate(structures, config.curation, test_fraction=training.test_fraction, seed=training.seed)
    dataset = folder / "dataset.traj"
    with Trajectory(str(dataset), "w") as frames:
        for index, split, group in zip(curation.indices, curation.splits, curation.groups, strict=True):
            structures[index].info.update(split=split, group=int(group))
            frames.write(structures[index])
    PacemakerWrapper(directory=folder / "fit").train(dataset, training)
    return time.perf_counter() - start


def bulk_properties(element: str, calculator: Any) -> dict[str, float]:
    """Return the lattice constant (Å) and bulk modulus (GPa) of the fcc crystal."""
    guess = bulk(element, cubic=True).cell.lengths()[0]
    volumes, energies = [], []
    for a in guess * np.linspace(0.96, 1.05, 19):
        atoms = bulk(element, "fcc", a=a)
        atoms.calc = calculator
        volumes.append(atoms.get_volume())
        energies.append(atoms.get_potential_energy())
    v0, _, b0 = EquationOfState(volumes, energies, eos="birchmurnaghan").fit()
    return {"a_A": float((4 * v0) ** (1 / 3)), "bulk_modulus_GPa": float(b0 / GPa)}


def dimer_curve(element: str, calculator: Any) -> dict[str, Any]:
    """Return whether the dimer's energy rises all the way as the atoms approach, from its minimum down to 0.3 Å."""
    radius = covalent_radii[Atoms(element).numbers[0]]
    distances = np.arange(0.3, 2.2 * radius, 0.02)
    energies = []
    for distance in distances:
        atoms = Atoms([element] * 2, positions=[[0, 0, 0], [0, 0, distance]])
        atoms.calc = calculator
        energies.append(atoms.get_potential_energy())
    inside = distances < distances[int(np.argmin(energies))]
    steps = np.diff(np.array(energies)[inside])
    return {
        "hole_at_short_distance": bool((steps > 0).any()),
        "minimum_at_A": float(distances[int(np.argmin(energies))]),
    }


def relaxed_vacancy(element: str, calculator: Any) -> float:
    """Return the vacancy formation energy (eV) in a 3x3x3 cubic cell, atoms relaxed."""
    perfect = bulk(element, cubic=True) * (3, 3, 3)
    perfect.calc = calculator
    energy = perfect.get_potential_energy()
    vacant = perfect.copy()
    del vacant[0]
    vacant.calc = calculator
    BFGS(vacant, logfile=None).run(fmax=0.01, steps=100)
    return float(vacant.get_potential_energy() - energy * (len(perfect) - 1) / len(perfect))


def quality(element: str, run: Any) -> dict[str, Any]:
    """Compare the potential with EMT."""
    from pyace import PyACECalculator

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "potential.yace"
        path.write_bytes(run.outputs.potential.get_content(mode="rb"))
        potential = PyACECalculator(str(path))
        ours, reference = bulk_properties(element, potential), bulk_properties(element, EMT())
        metrics = run.outputs.metrics.get_dict()
        return {
            "test": metrics["test"],
            "train": metrics["train"],
            "fit_wall_time_s": metrics["wall_time_s"],
            "fit_peak_memory_MB": metrics["peak_memory_MB"],
            "lattice_constant_error_percent": 100 * (ours["a_A"] / reference["a_A"] - 1),
            "bulk_modulus_error_percent": 100 * (ours["bulk_modulus_GPa"] / reference["bulk_modulus_GPa"] - 1),
            "vacancy_eV": {"potential": relaxed_vacancy(element, potential), "EMT": relaxed_vacancy(element, EMT())},
            "dimer": dimer_curve(element, potential),
        }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--element", default="Cu")
    parser.add_argument("--counts", type=int, nargs="+", default=[200])
    arguments = parser.parse_args()

    with temporary_profile() as home:
        from aiida_mlip_autopipec.daemon import ensure_daemon

        daemon = ensure_daemon()
        report: dict[str, Any] = {"element": arguments.element, "python": sys.version.split()[0], "runs": []}
        try:
            for count in arguments.counts:
                workflow, run = run_workflow(arguments.element, count)
                bare = run_bare(arguments.element, count, Path(tempfile.mkdtemp(dir=home)))
                times = {"count": count, "workflow_s": workflow, "bare_s": bare}
                report["runs"].append({**times, "over_bare_s": workflow - bare, "ratio": workflow / bare})
                report.setdefault("quality", quality(arguments.element, run))
        finally:
            daemon.stop_daemon(wait=True)
        report["peak_memory_of_children_MB"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
