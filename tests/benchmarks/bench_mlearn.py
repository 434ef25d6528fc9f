"""Error, time and memory of a fit with all defaults to the data of Zuo et al., and of upstream's pacemaker for comparison.

    python -m tests.benchmarks.bench_mlearn DATA [--elements Li Si Cu] [--copies 1]
        [--pacemaker PROGRAM --seconds 600 --batch-size 100]

DATA is a folder with `mlearn_<element>_{train,test}.xyz` (J. Phys. Chem. A 124, 731 (2020), BSD-3). Prints JSON. The fit is
what `mlip-auto train` runs, on this machine's cores; the test file is used only for the test errors. With `--copies`, the
training structures are given that many times, once as they are and the others rattled by 1e-2 Å, with unchanged labels: only
time and memory are then meaningful. With `--pacemaker`, the program of an environment with tensorpotential, upstream's own
template (nonlinear, its weights and optimiser) runs on the same data for a number of seconds of processor time, which other
programs on the machine do not shorten.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import yaml
from ase import Atoms
from ase.io.trajectory import Trajectory

from aiida_mlip_autopipec.config.schemas.pipeline import OWN_DATA
from aiida_mlip_autopipec.config.schemas.training import TrainingConfig
from aiida_mlip_autopipec.dataset.curate import curate
from aiida_mlip_autopipec.dataset.intake import intake
from aiida_mlip_autopipec.dataset.trajectory import attach_labels
from aiida_mlip_autopipec.trainer.database import DatabaseManager
from aiida_mlip_autopipec.trainer.pacemaker import PacemakerWrapper

FACTS = (
    "n_functions",
    "cutoff_A",
    "wall_time_s",
    "peak_memory_MB",
    "microseconds_per_atom",
    "test_overlap",
    "test_with_overlap",
)

TEMPLATE = {
    "embeddings": {
        "ALL": {"npot": "FinnisSinclairShiftedScaled", "fs_parameters": [1, 1, 1, 0.5], "ndensity": 2},
    },
    "bonds": {
        "ALL": {
            "radbase": "SBessel",
            "radparameters": [5.25],
            "rcut": 7,
            "dcut": 0.01,
            "NameOfCutoffFunction": "cos",
        }
    },
    "functions": {
        "number_of_functions_per_element": 700,
        "ALL": {"nradmax_by_orders": [15, 6, 4, 3, 2, 2], "lmax_by_orders": [0, 3, 3, 2, 2, 1]},
    },
}
"""The potential of upstream's input template, with its 700 functions."""


def read_data(folder: Path, element: str, copies: int) -> list[Atoms]:
    """Return the structures to train and to test on, curated as the command does."""
    parts = []
    for split in ("train", "test"):
        path = folder / f"mlearn_{element}_{split}.xyz"
        parts.append(intake(DatabaseManager().load_dataset(path), str(path), split))
    training = [*parts[0], *(_rattled(atoms, copy) for copy in range(1, copies) for atoms in parts[0])]
    structures = [*training, *parts[1]]
    curation = curate(structures, OWN_DATA, test_fraction=0.0, seed=0)
    for index, split, group in zip(curation.indices, curation.splits, curation.groups, strict=True):
        structures[index].info.update(split=split, group=group)
    return [structures[index] for index in curation.indices]


def _rattled(atoms: Atoms, seed: int) -> Atoms:
    copy = atoms.copy()
    copy.positions += np.random.default_rng(seed).normal(0.0, 0.01, copy.positions.shape)
    return attach_labels(copy, atoms.calc.results)


def fit(structures: list[Atoms], folder: Path) -> dict[str, Any]:
    """Fit with all defaults; return the metrics."""
    with Trajectory(str(folder / "data.traj"), "w") as frames:
        for atoms in structures:
            frames.write(atoms)
    potential = PacemakerWrapper(folder / "fit").train(folder / "data.traj", TrainingConfig())
    return json.loads((potential.parent / "metrics.json").read_text())


def processor_time() -> float:
    """Return the processor time (s) of the programs that were run and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def upstream(
    program: Path, seconds: float, batch_size: int, structures: list[Atoms], references: dict[str, float], folder: Path
) -> dict[str, Any]:
    """Run pacemaker with its template for some seconds; return the errors on the test part."""
    from pyace import PyACECalculator

    training = [atoms for atoms in structures if atoms.info["split"] == "train"]
    table = pandas.DataFrame(
        {
            "ase_atoms": [Atoms(a.numbers, positions=a.positions, cell=a.cell, pbc=a.pbc) for a in training],
            "energy_corrected": [
                a.get_potential_energy() - sum(references[symbol] for symbol in a.symbols) for a in training
            ],
            "forces": [a.get_forces() for a in training],
        }
    )
    table.columns = pandas.Index(list(table.columns), dtype=object)
    table.to_pickle(folder / "train.pckl.gzip", compression="gzip", protocol=4)
    content = {
        "potential": {"deltaSplineBins": 0.001, "elements": sorted(references), **TEMPLATE},
        "data": {"filename": "train.pckl.gzip"},
        "fit": {
            "loss": {"kappa": 0.3, "L1_coeffs": 1e-8, "L2_coeffs": 1e-8},
            "optimizer": "BFGS",
            "maxiter": 2000,
        },
        "backend": {"evaluator": "tensorpot", "batch_size": batch_size, "display_step": 50},
    }
    (folder / "input.yaml").write_text(yaml.safe_dump(content))
    start = time.perf_counter()
    limit = (round(seconds), round(seconds))
    with (folder / "pacemaker.log").open("w") as log:
        process = subprocess.Popen(
            [program, "input.yaml"],
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, limit),
        )
        _, status, used = os.wait4(process.pid, 0)
    facts = {
        "wall_time_s": time.perf_counter() - start,
        "processor_time_s": used.ru_utime + used.ru_stime,
        "peak_memory_MB": used.ru_maxrss / 1024,
        "ended": os.waitstatus_to_exitcode(status),
    }
    interim = folder / "interim_potential_0.yaml"
    if not interim.exists():
        return {**facts, "iterations": 0, "log": (folder / "pacemaker.log").read_text()[-1000:]}
    calculator = PyACECalculator(str(interim))
    energies, forces = [], []
    for atoms in structures:
        if atoms.info["split"] == "test":
            copy = Atoms(
                atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc, calculator=calculator
            )
            zero = sum(references[symbol] for symbol in atoms.symbols)
            energies.append((copy.get_potential_energy() + zero - atoms.get_potential_energy()) / len(atoms))
            forces.append((copy.get_forces() - atoms.get_forces()).ravel())
    iterations = len((folder / "metrics.txt").read_text().splitlines()) - 1
    return {
        "energy_mae_meV_per_atom": 1000 * float(np.abs(energies).mean()),
        "force_mae_eV_per_A": float(np.abs(np.concatenate(forces)).mean()),
        "iterations": iterations,
        **facts,
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--elements", nargs="+", default=["Li", "Si", "Cu"])
    parser.add_argument("--copies", type=int, default=1)
    parser.add_argument("--pacemaker", type=Path, help="upstream's program, in an environment with tensorpotential")
    parser.add_argument("--seconds", type=float, default=600.0, help="processor time of upstream's program")
    parser.add_argument("--batch-size", type=int, default=100, help="upstream's: with its 100, copper needs over 24 GB")
    arguments = parser.parse_args()
    report: dict[str, Any] = {}
    for element in arguments.elements:
        structures = read_data(arguments.data, element, arguments.copies)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            before = processor_time()
            metrics = fit(structures, folder)
            report[element] = {
                "processor_time_s": processor_time() - before,
                "test": metrics["test"],
                "chosen": metrics["chosen"],
                **{fact: metrics.get(fact) for fact in FACTS},
            }
            if arguments.pacemaker is not None:
                references = metrics["reference_energies_eV"]
                report[element]["upstream"] = upstream(
                    arguments.pacemaker.absolute(),
                    arguments.seconds,
                    arguments.batch_size,
                    structures,
                    references,
                    folder,
                )
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
