"""Errors and computing time of potentials with each value of `training.speed`: the default dataset of copper (EMT).

    python -m tests.benchmarks.bench_speed [--labels 300] [--speeds fast balanced accurate]

Prints for each: functions, cutoff, processor time of energy and forces per atom by the recursive evaluator of python-ace, which
LAMMPS also uses by default, and by its other evaluator; errors on the test set of the fit and on `broad_copper`, a set that
was made independently of the pipeline.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from ase.build import bulk
from pyace import PyACECalculator

import aiida_mlip_autopipec
from aiida_mlip_autopipec.calculator import load
from aiida_mlip_autopipec.config.schemas.training import TrainingConfig
from aiida_mlip_autopipec.dataset.traj_file import write_traj
from aiida_mlip_autopipec.trainer.pacemaker import PacemakerWrapper
from tests.benchmarks.bench_alloys import errors, structures_to_label
from tests.benchmarks.broad_copper import LATTICE_CONSTANT, broad_copper, label_by_emt

sys.path.insert(0, str(Path(aiida_mlip_autopipec.__file__).parent / "jobs"))

from mlip_common.potential import RECURSIVE
from mlip_train.evaluation import time_per_atom

SPEEDS = ("fast", "balanced", "accurate")


def microseconds(potential: Path, **options: Any) -> float:
    """Return the processor time (µs per atom) of an evaluation of 256 atoms on one core."""
    atoms = bulk("Cu", a=LATTICE_CONSTANT, cubic=True).repeat(4)
    atoms.rattle(0.05, seed=1)
    atoms.calc = PyACECalculator(str(potential), **options)
    return time_per_atom(atoms)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=int, default=300)
    parser.add_argument("--speeds", nargs="+", default=SPEEDS, choices=SPEEDS)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        dataset = Path(name) / "data.traj"
        write_traj(dataset, map(label_by_emt, structures_to_label(["Cu"], arguments.labels, {})))
        print(
            "speed  functions  cutoff (Å)  µs/atom  (other evaluator)  test meV/atom, eV/Å  broad copper meV/atom, eV/Å"
        )
        for speed in arguments.speeds:
            potential = PacemakerWrapper(Path(name) / speed).train(dataset, TrainingConfig(speed=speed))
            metrics = json.loads((potential.parent / "metrics.json").read_text())
            times = microseconds(potential, **RECURSIVE), microseconds(potential)
            test, broad = metrics["test"], errors(broad_copper(), load(potential))["all"]
            print(
                f"{speed}  {metrics['n_functions']}  {metrics['cutoff_A']:.2g}  {times[0]:.0f}  ({times[1]:.0f})  "
                f"{test['energy_rmse_meV_per_atom']:.2f}, {test['force_rmse_eV_per_A']:.4f}  {broad[0]:.2f}, {broad[1]:.4f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
