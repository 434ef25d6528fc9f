"""Error, time and memory of a fit with all defaults to the data of Zuo et al., and of other programs for comparison.

    python -m tests.benchmarks.bench_mlearn DATA [--elements Li Si Cu] [--copies 1]
        [--pacemaker PROGRAM --seconds 600 --batch-size 100] [--ace-jax PROGRAM --max-degree 16]

DATA is a folder with `mlearn_<element>_{train,test}.xyz` (J. Phys. Chem. A 124, 731 (2020), BSD-3). Prints JSON. The fit is
what `mlip-auto train` runs, on this machine's cores; the test file is used only for the test errors. With `--copies`, the
training structures are given that many times, once as they are and the others rattled by 1e-2 Å, with unchanged labels: only
time and memory are then meaningful. With `--pacemaker`, the program of an environment with tensorpotential, upstream's own
template (nonlinear, its weights and optimiser) runs on the same data for a number of seconds of processor time, which other
programs on the machine do not shorten. With `--ace-jax`, the program `ace-jax` fits a linear ACE by its Bayesian regression.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from aiida_mlip_autopipec.config.schemas.pipeline import OWN_DATA
from aiida_mlip_autopipec.config.schemas.training import TrainingConfig
from aiida_mlip_autopipec.dataset.curate import curate
from aiida_mlip_autopipec.dataset.intake import intake
from aiida_mlip_autopipec.dataset.traj_file import write_traj
from aiida_mlip_autopipec.dataset.trajectory import attach_labels
from aiida_mlip_autopipec.trainer.database import DatabaseManager
from aiida_mlip_autopipec.trainer.pacemaker import PacemakerWrapper
from tests.benchmarks.other_programs import ace_jax, pacemaker

FACTS = (
    "n_functions",
    "cutoff_A",
    "wall_time_s",
    "peak_memory_MB",
    "microseconds_per_atom",
    "test_overlap",
    "test_with_overlap",
)


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
    write_traj(folder / "data.traj", structures)
    potential = PacemakerWrapper(folder / "fit").train(folder / "data.traj", TrainingConfig())
    return json.loads((potential.parent / "metrics.json").read_text())


def processor_time() -> float:
    """Return the processor time (s) of the programs that were run and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--elements", nargs="+", default=["Li", "Si", "Cu"])
    parser.add_argument("--copies", type=int, default=1)
    parser.add_argument("--pacemaker", type=Path, help="upstream's program, in an environment with tensorpotential")
    parser.add_argument("--seconds", type=float, default=600.0, help="processor time of upstream's program")
    parser.add_argument("--batch-size", type=int, default=100, help="upstream's: with its 100, copper needs over 24 GB")
    parser.add_argument("--ace-jax", type=Path, help="the program ace-jax, in an environment of its own")
    parser.add_argument(
        "--max-degree", type=int, default=16, help="of the basis of ace-jax; 16 gives 668 functions of silicon"
    )
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
                report[element]["pacemaker"] = pacemaker(
                    arguments.pacemaker.absolute(),
                    arguments.seconds,
                    arguments.batch_size,
                    structures,
                    references,
                    folder,
                )
            if arguments.ace_jax is not None:
                report[element]["ace-jax"] = ace_jax(
                    arguments.ace_jax.absolute(), arguments.max_degree, structures, folder
                )
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
