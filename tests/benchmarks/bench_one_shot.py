"""Additional cost of the workflow compared with a script that does the same in one process, and accuracy of the potential.

    python -m tests.benchmarks.bench_one_shot [--elements Cu] [--counts 300]
    python -m tests.benchmarks.bench_one_shot --elements Cu Au --counts 600
    python -m tests.benchmarks.bench_one_shot --elements Ni Al Cu Pd Ag --counts 1500

Prints a table of the stages to standard error, and JSON. For each number of structures, side by side: wall and processor time
of `OneShotWorkChain` with the default settings, submitted to a daemon of a new temporary profile, and of the same generation,
selection, labelling, curation and fit without AiiDA; nodes, bytes, and peak memory. For one element: the errors of the first
potential, its lattice constant, bulk modulus and vacancy formation energy beside those of the oracle, and the shape of the
dimer curve.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
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


def run_workflow(elements: Sequence[str], count: int) -> tuple[float, Any]:
    """Return the seconds from submission to the end, and the finished run."""
    from aiida.engine import submit

    from aiida_mlip_autopipec.config.schemas.pipeline import PipelineConfig
    from aiida_mlip_autopipec.pipelines.builders import build_one_shot

    builder = build_one_shot(PipelineConfig(elements=list(elements), generator={"count": count}))
    start = time.perf_counter()
    run = submit(builder)
    while not run.is_terminated:
        time.sleep(0.2)
    seconds = time.perf_counter() - start
    if not run.is_finished_ok:
        raise SystemExit(f"the run failed: {run.exit_message}")
    return seconds, run


def run_bare(elements: Sequence[str], count: int, folder: Path) -> None:
    """Do the same work without AiiDA."""
    from aiida_mlip_autopipec.config.schemas.pipeline import PipelineConfig
    from aiida_mlip_autopipec.dataset.curate import curate
    from aiida_mlip_autopipec.dataset.trajectory import attach_labels
    from aiida_mlip_autopipec.generator.structure import StructureGenerator
    from aiida_mlip_autopipec.trainer.pacemaker import PacemakerWrapper

    config = PipelineConfig(elements=list(elements), generator={"count": count})
    selection = config.selection
    pool = StructureGenerator(config.generator).generate_pool(elements, count, selection.pool, selection.block)
    structures = _select(pool, count, config, folder)
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


def _select(pool: Sequence[Atoms], count: int, config: Any, folder: Path) -> list[Atoms]:
    """Return the structures that `select_structures` selects."""
    from aiida_mlip_autopipec.programs.codes import JOBS

    settings = {"count": count, "method": config.selection.method, "n_functions": config.selection.n_functions}
    (folder / "settings.json").write_text(json.dumps({**settings, "per_block": config.selection.block}))
    with Trajectory(str(folder / "candidates.traj"), "w") as frames:
        for atoms in pool:
            frames.write(atoms)
    program = [sys.executable, str(JOBS / "select_structures"), "settings.json", "candidates.traj"]
    subprocess.run(program, cwd=folder, check=True, capture_output=True)
    return [pool[one["index"]] for one in json.loads((folder / "selection.json").read_text())["chosen"]]


def processor_time() -> float:
    """Return the processor time (s) of this process and its ended children."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def processor_time_of(daemon: Any) -> float:
    """Return the processor time (s) of the daemon's processes and of their ended children."""
    from aiida_mlip_autopipec.host.processes import find_processes

    return sum(sum(process.cpu_times()[:4]) for process in find_processes(daemon))


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
    """Return whether the energy of the dimer falls anywhere with decreasing distance inside its minimum, and the distance of
    the minimum (Å).
    """
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
    parser.add_argument("--elements", nargs="+", default=["Cu"])
    parser.add_argument("--counts", type=int, nargs="+", default=[300])
    arguments = parser.parse_args()
    elements = arguments.elements

    with temporary_profile() as home:
        from aiida_mlip_autopipec.host.daemon import ensure_daemon
        from tests.benchmarks.stages import stage_rows, storage_of, table

        daemon = ensure_daemon()
        report: dict[str, Any] = {"elements": elements, "python": sys.version.split()[0], "runs": []}
        try:
            for count in arguments.counts:
                before = processor_time_of(daemon)
                workflow, run = run_workflow(elements, count)
                stages = stage_rows(run)
                print(table(stages, workflow), file=sys.stderr, flush=True)
                row = {"count": count, "workflow_s": workflow, "workflow_cpu_s": processor_time_of(daemon) - before}
                before, start = processor_time(), time.perf_counter()
                run_bare(elements, count, Path(tempfile.mkdtemp(dir=home)))
                row |= {"bare_s": time.perf_counter() - start, "bare_cpu_s": processor_time() - before}
                row |= {"over_bare_s": workflow - row["bare_s"], **storage_of(home), "stages": stages}
                report["runs"].append(row)
                if len(elements) == 1:
                    report.setdefault("quality", quality(elements[0], run))
        finally:
            daemon.stop_daemon(wait=True)
        report["peak_memory_of_children_MB"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
