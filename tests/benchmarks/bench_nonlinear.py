"""Errors of the nonlinear engine after a given processor time, for different starts and optimisers.

    python -m tests.benchmarks.bench_nonlinear DATA ELEMENT TENSORPOT [--variants NAME...] [--functions 300] [--seconds 300]

DATA is a folder with `mlearn_<element>_train.xyz` (J. Phys. Chem. A 124, 731 (2020), BSD-3), TENSORPOT an environment with
tensorpotential. The errors are those on a hold-out fold of a linear fit; the test file is not read. Each variant changes the
input that `pace_train` writes for `pacemaker`, and runs for a number of seconds of processor time. Prints the errors of each on
the fold against processor time.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import yaml
from ase.io.trajectory import Trajectory

from aiida_mlip_autopipec.config.schemas.training import TrainingConfig
from aiida_mlip_autopipec.programs.codes import JOBS
from aiida_mlip_autopipec.training.pacemaker_input import DATASET, INPUT, input_yaml

from .bench_mlearn import read_data

sys.path.insert(0, str(JOBS))

Content = dict[str, Any]


def _optimizer(name: str, **options: Any) -> Callable[[Content], None]:
    def change(content: Content) -> None:
        content["fit"].update(optimizer=name, **({"options": options} if options else {}))

    return change


def _penalty(factor: float) -> Callable[[Content], None]:
    def change(content: Content) -> None:
        content["fit"]["loss"]["L2_coeffs"] *= factor

    return change


def _kappa(value: float) -> Callable[[Content], None]:
    def change(content: Content) -> None:
        content["fit"]["loss"]["kappa"] = value

    return change


def _ladder(content: Content) -> None:
    content["fit"].update(ladder_step=[10, 0.2], maxiter=100)


def _functions_alone(content: Content) -> None:
    content["fit"]["trainable_parameters"] = "func"


# as_it_is: the input of `pace_train`; unscaled: the optimiser without the scale matrix; functions_alone: radial coefficients
# fixed; from_nothing: without the linear solution; ladder: pacemaker's own stepwise fit.
VARIANTS: dict[str, Callable[[Content], None]] = {
    "as_it_is": lambda content: None,
    "unscaled": lambda content: None,
    "batch_100": lambda content: content["backend"].update(batch_size=100),
    "L-BFGS-B": _optimizer("L-BFGS-B", maxcor=50),
    "Adam": _optimizer("Adam"),
    "penalty_x0.1": _penalty(0.1),
    "penalty_x10": _penalty(10.0),
    "kappa_0.3": _kappa(0.3),
    "functions_alone": _functions_alone,
    "from_nothing": lambda content: None,
    "ladder": _ladder,
}

FROM_NOTHING = ("from_nothing", "ladder")
"""Variants that start from the potential of the input, without coefficients of a linear fit."""

UNSCALED = (*FROM_NOTHING, "unscaled", "Adam")
"""Variants whose optimiser works with unscaled coefficients."""


def prepare(data: Path, element: str, tensorpot: Path, functions: int, folder: Path) -> None:
    """Run `pace_train` in a folder until its nonlinear fit has begun, and end it there."""
    structures = [atoms for atoms in read_data(data, element, 1) if atoms.info["split"] == "train"]
    settings = TrainingConfig(engine="nonlinear", evaluator="tensorpot", n_functions=functions, max_epochs=5000)
    (folder / INPUT).write_text(input_yaml(settings, [element]))
    with Trajectory(str(folder / DATASET), "w") as file:
        for atoms in structures:
            file.write(atoms)
    with (folder / "log.txt").open("w") as log:
        command = [str(tensorpot / "bin" / "python"), str(JOBS / "pace_train"), INPUT, DATASET]
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
    while not (folder / "nonlinear" / "log.txt").exists():
        if process.poll() is not None:
            raise SystemExit((folder / "log.txt").read_text())
        time.sleep(0.2)
    for child in psutil.Process(process.pid).children(recursive=True):
        child.kill()
    process.kill()
    process.wait()


def run_variant(name: str, tensorpot: Path, prepared: Path, seconds: float, folder: Path) -> list[tuple[float, Path]]:
    """Run pacemaker; return its interim potentials, each with the processor time at which it was written."""
    folder.mkdir()
    content = yaml.safe_load((prepared / "nonlinear" / "pacemaker.yaml").read_text())
    VARIANTS[name](content)
    started = ["-p", "start.yaml"]
    if name in FROM_NOTHING:
        content["potential"], started = yaml.safe_load((prepared / INPUT).read_text())["potential"], []
    (folder / "pacemaker.yaml").write_text(yaml.safe_dump(content))
    for file in ("start.yaml", "scale.npy", "train.pckl.gzip"):
        (folder / file).write_bytes((prepared / "nonlinear" / file).read_bytes())
    program = [str(tensorpot / "bin" / "pacemaker")]
    if name not in UNSCALED:
        program = [str(tensorpot / "bin" / "python"), str(JOBS / "mlip_train" / "scaled_pacemaker.py"), "scale.npy"]
    command = [*program, "pacemaker.yaml", *started, "--no-predict"]
    with (folder / "out.txt").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
    watched, taken, mark = psutil.Process(process.pid), [], seconds / 16
    spent = 0.0
    while process.poll() is None and spent < seconds:
        time.sleep(0.5)
        used = watched.cpu_times()
        spent = used.user + used.system
        interim = folder / "interim_potential_0.yaml"
        if spent > mark and interim.exists():
            copy = folder / f"at_{spent:.0f}.yaml"
            copy.write_bytes(interim.read_bytes())
            taken.append((spent, copy))
            mark = max(2 * mark, spent)
    process.kill()
    process.wait()
    return taken


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("element")
    parser.add_argument("tensorpot", type=Path)
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--functions", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=300.0)
    arguments = parser.parse_args()
    from mlip_train.data import assign_folds, read_frames, reference_energies
    from mlip_train.evaluation import predict
    from mlip_train.settings import read_settings

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepared = folder / "prepared"
        prepared.mkdir()
        prepare(arguments.data, arguments.element, arguments.tensorpot.absolute(), arguments.functions, prepared)
        settings = read_settings(prepared / INPUT)
        frames = read_frames(prepared / DATASET, settings.elements)
        reference = reference_energies(settings, frames)
        folds = assign_folds(frames)
        judged = [frame for frame, fold in zip(frames, folds, strict=True) if fold == min(folds)]

        def show(path: Path, label: str) -> None:
            energies, forces = [], []
            for frame, (energy, predicted) in zip(judged, predict(path, judged, 1), strict=True):
                energies.append((energy + reference.of(frame.atoms) - frame.energy) / len(frame.atoms))
                forces.append((predicted - frame.forces).ravel())
            rms = [float(np.sqrt(np.mean(np.square(values)))) for values in (energies, np.concatenate(forces))]
            print(f"{label:40s} {1000 * rms[0]:8.3f} meV/atom {rms[1]:8.4f} eV/A", flush=True)

        show(prepared / "nonlinear" / "start.yaml", "start")
        for variant in arguments.variants:
            there = run_variant(variant, arguments.tensorpot.absolute(), prepared, arguments.seconds, folder / variant)
            for spent, path in there:
                show(path, f"{variant}, {spent:.0f} s")
            metrics = folder / variant / "metrics.txt"
            if metrics.exists():
                print(f"{variant}: {len(metrics.read_text().splitlines()) - 2} iterations", flush=True)
            if not there:
                print(f"{variant}: nothing", (folder / variant / "out.txt").read_text()[-600:], flush=True)


if __name__ == "__main__":
    main()
