"""Error against number of labels, for generated structures without selection and for selected ones.

    python -m tests.benchmarks.bench_selection [--labels 50 100 200 500] [--seeds 1 2 3] [--selections none d_optimal ...]

Copper, labelled by ASE's effective medium theory; fits with all defaults; errors on the independent test set `broad_copper`.
The seeds are those of the generator. Prints a line for each fit (root mean squares: energies in meV/atom, forces in eV/Å),
and at the end JSON with the means over the seeds. No AiiDA profile is needed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.io.trajectory import Trajectory

from aiida_mlip_autopipec.config.schemas.generator import GeneratorConfig
from aiida_mlip_autopipec.config.schemas.selection import SelectionConfig
from aiida_mlip_autopipec.config.schemas.training import TrainingConfig
from aiida_mlip_autopipec.generator.structure import StructureGenerator
from aiida_mlip_autopipec.trainer.pacemaker import PacemakerWrapper
from tests.benchmarks.broad_copper import broad_errors, label_by_emt

ELEMENT = "Cu"


def structures_to_label(count: int, seed: int, selection: SelectionConfig, workers: int) -> list[Atoms]:
    """Return what the one-shot pipeline labels."""
    generator = StructureGenerator(GeneratorConfig(seed=seed))
    if selection.method == "none":
        return generator.generate_initial_set(ELEMENT, count)
    pool = generator.generate_pool([ELEMENT], count, selection.pool, selection.block)
    content = {
        "count": count,
        "method": selection.method,
        "n_functions": selection.n_functions,
        "per_block": selection.block,
    }
    with (
        tempfile.TemporaryDirectory() as name,
        as_file(files("aiida_mlip_autopipec") / "jobs" / "select_structures") as script,
    ):
        folder = Path(name)
        (folder / "settings.json").write_text(json.dumps(content))
        write(pool, folder / "candidates.traj")
        command = [sys.executable, str(script), "--workers", str(workers), "settings.json", "candidates.traj"]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        chosen = json.loads((folder / "selection.json").read_text())["chosen"]
    return [pool[one["index"]] for one in chosen]


def write(structures: list[Atoms], path: Path) -> None:
    """Write a trajectory."""
    with Trajectory(str(path), "w") as frames:
        for atoms in structures:
            frames.write(atoms)


def measure(count: int, seed: int, selection: SelectionConfig, workers: int) -> dict[str, Any]:
    """Return the errors of a potential fitted to a number of labels, and the seconds of the selection and of the fit."""
    start = time.perf_counter()
    structures = structures_to_label(count, seed, selection, workers)
    chosen = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write([label_by_emt(atoms) for atoms in structures], folder / "data.traj")
        potential = PacemakerWrapper(folder / "fit", workers).train(folder / "data.traj", TrainingConfig())
        fitted = time.perf_counter()
        metrics = json.loads((potential.parent / "metrics.json").read_text())
        errors = broad_errors(potential, metrics["reference_energies_eV"][ELEMENT])
    return {
        "selection": selection.method,
        "labels": len(structures),
        "seed": seed,
        **errors,
        "atoms": sum(len(atoms) for atoms in structures),
        "n_functions": metrics["n_functions"],
        "choice_s": chosen - start,
        "fit_s": fitted - chosen,
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=int, nargs="+", default=[50, 100, 200, 500])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--selections", nargs="+", default=["none", "d_optimal", "farthest_point"])
    parser.add_argument(
        "--pool", type=int, default=SelectionConfig().pool, help="size of the pool, in units of the number of labels"
    )
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    found = []
    for count in arguments.labels:
        for method in arguments.selections:
            for seed in arguments.seeds:
                selection = SelectionConfig(method=method, pool=arguments.pool)
                found.append(measure(count, seed, selection, arguments.workers))
                print(json.dumps(found[-1]), flush=True)
    means = [
        {"selection": method, "labels": count, "seeds": len(some)}
        | {key: float(np.mean([one[key] for one in some])) for key in ("energy", "force", "atoms", "choice_s", "fit_s")}
        for method in arguments.selections
        for count in arguments.labels
        if (some := [one for one in found if (one["selection"], one["labels"]) == (method, count)])
    ]
    print(json.dumps(means, indent=2))


if __name__ == "__main__":
    main()
