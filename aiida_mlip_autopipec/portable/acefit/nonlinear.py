"""The nonlinear engine: upstream's `pacemaker`, started from the linear solution and kept only if it is better."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas
from acecommon.deadline import Deadline
from acecommon.errors import INSTALL_PYACE, INSTALL_TENSORPOT, ExplainedError, log
from pyace import ACEBBasisSet, BBasisConfiguration
from ruamel.yaml import YAML

from .checkpoint import NONLINEAR
from .data import Frame, ReferenceEnergies, assign_folds
from .design import frame_weights
from .evaluation import predict
from .linear import Solution
from .second_density import part_of_second_density, scale_of_coefficients, slope_of_root, with_second_density
from .settings import Settings

REGULARISATION = 0.01
"""Part of the loss at the start that is the penalty on the coefficients."""

INTERIM = "interim_potential_0.yaml"
START = "start.yaml"
SCALE = "scale.npy"
SCALED_PACEMAKER = Path(__file__).with_name("scaled_pacemaker.py")


def fit_nonlinear(
    settings: Settings,
    solution: Solution,
    training: Sequence[Frame],
    reference: ReferenceEnergies,
    workers: int,
    deadline: Deadline,
) -> tuple[Any, str, dict[str, Any]]:
    """Run `pacemaker` on all folds but one, and compare on that one.

    :returns: the configuration of the better potential, the engine it is from, and the errors that were compared.
    :raises ExplainedError: if pacemaker is not installed or fails, or the deadline comes.
    """
    command = _program(settings)
    NONLINEAR.mkdir(exist_ok=True)
    folds = assign_folds(training)
    left_out = min(folds) if len(set(folds)) > 1 else None
    fitted = [frame for frame, fold in zip(training, folds, strict=True) if fold != left_out]
    judged = [frame for frame, fold in zip(training, folds, strict=True) if fold == left_out] or fitted
    without = None if left_out is None else 0
    # tensorpotential numbers the functions of one neighbour without gaps.
    linear = solution.configuration(without, all_pairs=True)
    before = _validation_error(linear, judged, reference, workers)

    energy = float(np.mean([(frame.energy - reference.of(frame.atoms)) / len(frame.atoms) for frame in fitted]))
    part = part_of_second_density(energy)
    slope = slope_of_root(part * energy)
    interim = NONLINEAR / INTERIM
    if _is_potential(interim):
        shutil.copyfile(interim, NONLINEAR / START)
        log("nonlinear fit: going on from the last potential")
    else:
        ACEBBasisSet(with_second_density(linear, part, slope)).save(str(NONLINEAR / START))
    sum_of_weights = _write_input(settings, solution, fitted, reference, linear, workers)
    if SCALE in command:
        np.save(NONLINEAR / SCALE, scale_of_coefficients(solution, without, sum_of_weights, slope))
    log(f"nonlinear fit: at most {settings.raw['fit']['maxiter']} iterations")
    _run([*command, "pacemaker.yaml", "-p", START, "--no-predict"], settings, deadline)
    final = NONLINEAR / "output_potential.yaml"
    nonlinear = BBasisConfiguration(str(final if final.exists() else interim))
    after = _validation_error(nonlinear, judged, reference, workers)

    better = bool(np.prod(after) < np.prod(before))
    log(
        f"on structures left out: linear {1000 * before[0]:.2f} meV/atom, {before[1]:.4f} eV/Å; "
        f"nonlinear {1000 * after[0]:.2f} meV/atom, {after[1]:.4f} eV/Å: {'kept' if better else 'the linear one is kept'}"
    )
    report = {
        "evaluator": settings.raw["backend"]["evaluator"],
        "validation_linear": {"energy_rmse_eV_per_atom": before[0], "force_rmse_eV_per_A": before[1]},
        "validation_nonlinear": {"energy_rmse_eV_per_atom": after[0], "force_rmse_eV_per_A": after[1]},
    }
    return (nonlinear, "nonlinear", report) if better else (solution.configuration(), "linear", report)


def _program(settings: Settings) -> list[str]:
    """Return the command, but for its arguments."""
    if settings.raw["backend"]["evaluator"] == "tensorpot":
        if importlib.util.find_spec("tensorpotential") is None:
            raise ExplainedError("not_installed", f"the evaluator tensorpot is not installed: {INSTALL_TENSORPOT}")
        return [sys.executable, str(SCALED_PACEMAKER), SCALE]
    beside = Path(sys.executable).with_name("pacemaker")
    program = str(beside) if beside.exists() else shutil.which("pacemaker")
    if program is None:
        raise ExplainedError("not_installed", f"the program pacemaker is not installed: {INSTALL_PYACE}")
    return [program]


def _is_potential(path: Path) -> bool:
    """Tell whether a file is a whole potential: pacemaker writes it in place, and may have been killed while doing so."""
    try:
        return path.is_file() and ACEBBasisSet(str(path)) is not None
    except Exception:
        return False


def _validation_error(
    configuration: Any, frames: Sequence[Frame], reference: ReferenceEnergies, workers: int
) -> tuple[float, float]:
    """Return the root mean square errors of energies (eV/atom) and forces (eV/Å), violent structures weighing less."""
    path = NONLINEAR / "compared.yaml"
    ACEBBasisSet(configuration).save(str(path))
    energies, forces, n_forces = 0.0, 0.0, 0
    for frame, (energy, predicted) in zip(frames, predict(path, frames, workers), strict=True):
        calm = frame_weights(frame)[1]
        energies += (calm * (energy + reference.of(frame.atoms) - frame.energy) / len(frame.atoms)) ** 2
        forces += float(((calm * (predicted - frame.forces)) ** 2).sum())
        n_forces += frame.forces.size
    return (energies / len(frames)) ** 0.5, (forces / n_forces) ** 0.5


def _write_input(
    settings: Settings,
    solution: Solution,
    frames: Sequence[Frame],
    reference: ReferenceEnergies,
    linear: Any,
    workers: int,
) -> float:
    """Write pacemaker's files with the weights of the linear fit; return their sum."""
    # pacemaker drops a structure without neighbours in silence; it adds nothing to the fit.
    frames = [frame for frame in frames if len(frame.atoms) > 1 or frame.atoms.pbc.all()]
    of_energies, of_forces = [], []
    for frame in frames:
        energy, force = frame_weights(frame)
        # Ours weigh the error of the total energy, pacemaker's that of an atom's.
        of_energies.append((solution.choice.weights.energy * energy * len(frame.atoms)) ** 2)
        of_forces.append(np.full(len(frame.atoms), (settings.force_weight * force) ** 2))
    sum_energies, sum_forces = sum(of_energies), sum(float(weights.sum()) for weights in of_forces)
    kappa = sum_forces / (sum_energies + sum_forces)
    table = pandas.DataFrame(
        {
            "ase_atoms": [frame.atoms for frame in frames],
            "energy_corrected": [frame.energy - reference.of(frame.atoms) for frame in frames],
            "forces": [frame.forces for frame in frames],
            "w_energy": of_energies,
            "w_forces": of_forces,
        }
    )
    table.to_pickle(NONLINEAR / "train.pckl.gzip", compression="gzip", protocol=4)
    error, coefficients = 0.0, 0.0
    path = NONLINEAR / "compared.yaml"
    ACEBBasisSet(linear).save(str(path))
    for weight, weights, frame, (energy, forces) in zip(
        of_energies, of_forces, frames, predict(path, frames, workers), strict=True
    ):
        error += weight * ((energy + reference.of(frame.atoms) - frame.energy) / len(frame.atoms)) ** 2
        error += float((weights[:, None] * (forces - frame.forces) ** 2).sum())
    for block in linear.funcspecs_blocks:
        coefficients += sum(function.coeffs[0] ** 2 for function in block.funcspecs)
    penalty = REGULARISATION * error / (sum_energies + sum_forces) / coefficients
    raw = {key: value for key, value in settings.raw.items() if key != "pace_train"}
    raw["potential"] = {"filename": START}
    raw["data"] = {"filename": "train.pckl.gzip"}
    raw["fit"] = {**raw["fit"], "loss": {"kappa": kappa, "L1_coeffs": 0.0, "L2_coeffs": penalty}}
    with (NONLINEAR / "pacemaker.yaml").open("w") as handle:
        YAML(typ="safe").dump(raw, handle)
    return sum_energies + sum_forces


def _run(command: Sequence[str], settings: Settings, deadline: Deadline) -> None:
    """Run pacemaker in its folder, its log in ours, until it is done, the time limit or the deadline comes."""
    limit = Deadline() if settings.time_limit is None else Deadline(time.monotonic() + settings.time_limit)
    process = subprocess.Popen(command, cwd=NONLINEAR, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT)
    try:
        while process.poll() is None:
            if deadline.has_come:
                deadline.check("the nonlinear fit")
            if limit.has_come and _is_potential(NONLINEAR / INTERIM):
                log("nonlinear fit: the time limit has come")
                return
            time.sleep(0.5)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
    if process.returncode != 0 or not (NONLINEAR / "output_potential.yaml").exists():
        raise ExplainedError("diverged", f"pacemaker ended with status {process.returncode}; its log has the reason")
