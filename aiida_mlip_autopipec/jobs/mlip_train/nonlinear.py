"""The nonlinear engine: upstream's `pacemaker`, started from the linear solution, used only if it has smaller errors."""

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
from mlip_common.deadline import Deadline
from mlip_common.errors import INSTALL_PYACE, INSTALL_TENSORPOT, ProgramError, log
from pyace import ACEBBasisSet, BBasisConfiguration
from ruamel.yaml import YAML

from .checkpoint import NONLINEAR
from .data import Frame, ReferenceEnergies, assign_folds
from .design import frame_weights
from .embedding import embedding
from .evaluation import predict
from .linear import Solution
from .second_density import coefficient_scale, second_density_fraction, with_second_density
from .settings import FitSettings

REGULARISATION = 0.01
"""Penalty on the coefficients as a fraction of the initial loss."""

INTERIM = "interim_potential_0.yaml"
START = "start.yaml"
SCALE = "scale.npy"
SCALED_PACEMAKER = Path(__file__).with_name("scaled_pacemaker.py")


def fit_nonlinear(
    settings: FitSettings,
    solution: Solution,
    training: Sequence[Frame],
    reference: ReferenceEnergies,
    workers: int,
    deadline: Deadline,
) -> tuple[Any, str, dict[str, Any]]:
    """Run `pacemaker` on all folds but one, and compare the errors on the hold-out fold with those of the linear fit.

    :returns: the configuration of the better potential, its engine, and the compared errors.
    :raises ProgramError: of the kind `not_installed`, `diverged` or `out_of_time`.
    """
    command = _program(settings)
    NONLINEAR.mkdir(exist_ok=True)
    folds = assign_folds(training)
    hold_out = min(folds) if len(set(folds)) > 1 else None
    fitted = [frame for frame, fold in zip(training, folds, strict=True) if fold != hold_out]
    held_out = [frame for frame, fold in zip(training, folds, strict=True) if fold == hold_out] or fitted
    without = None if hold_out is None else 0
    # tensorpotential requires all functions of one neighbour, without gaps.
    linear = solution.configuration(without, all_of_one_neighbour=True)
    before = _validation_error(linear, held_out, reference, workers)

    energy = float(np.mean([(frame.energy - reference.of(frame.atoms)) / len(frame.atoms) for frame in fitted]))
    fraction = second_density_fraction(energy)
    slope = float(embedding(np.array(fraction * energy))[1])
    interim = NONLINEAR / INTERIM
    if _is_potential(interim):
        shutil.copyfile(interim, NONLINEAR / START)
        log("nonlinear fit: continuing from the last potential")
    else:
        ACEBBasisSet(with_second_density(linear, fraction, slope)).save(str(NONLINEAR / START))
    sum_of_weights = _write_input(settings, solution, fitted, reference, linear, workers)
    if SCALE in command:
        np.save(NONLINEAR / SCALE, coefficient_scale(solution, without, sum_of_weights, slope))
    log(f"nonlinear fit: at most {settings.raw['fit']['maxiter']} iterations")
    _run([*command, "pacemaker.yaml", "-p", START, "--no-predict"], settings, deadline)
    final = NONLINEAR / "output_potential.yaml"
    nonlinear = BBasisConfiguration(str(final if final.exists() else interim))
    after = _validation_error(nonlinear, held_out, reference, workers)

    better = bool(np.prod(after) < np.prod(before))
    log(
        f"hold-out errors: linear {1000 * before[0]:.2f} meV/atom, {before[1]:.4f} eV/Å; "
        f"nonlinear {1000 * after[0]:.2f} meV/atom, {after[1]:.4f} eV/Å: the {'nonlinear' if better else 'linear'} fit is used"
    )
    report = {
        "evaluator": settings.raw["backend"]["evaluator"],
        "validation_linear": {"energy_rmse_eV_per_atom": before[0], "force_rmse_eV_per_A": before[1]},
        "validation_nonlinear": {"energy_rmse_eV_per_atom": after[0], "force_rmse_eV_per_A": after[1]},
    }
    return (nonlinear, "nonlinear", report) if better else (solution.configuration(), "linear", report)


def _program(settings: FitSettings) -> list[str]:
    """Return the command without its arguments.

    :raises ProgramError: of the kind `not_installed`.
    """
    if settings.raw["backend"]["evaluator"] == "tensorpot":
        if importlib.util.find_spec("tensorpotential") is None:
            raise ProgramError("not_installed", f"the evaluator tensorpot is not installed: {INSTALL_TENSORPOT}")
        return [sys.executable, str(SCALED_PACEMAKER), SCALE]
    next_to_python = Path(sys.executable).with_name("pacemaker")
    program = str(next_to_python) if next_to_python.exists() else shutil.which("pacemaker")
    if program is None:
        raise ProgramError("not_installed", f"the program pacemaker is not installed: {INSTALL_PYACE}")
    return [program]


def _is_potential(path: Path) -> bool:
    """Return whether a file is a complete potential: pacemaker may have been killed while writing it."""
    try:
        return path.is_file() and ACEBBasisSet(str(path)) is not None
    except Exception:
        return False


def _validation_error(
    configuration: Any, frames: Sequence[Frame], reference: ReferenceEnergies, workers: int
) -> tuple[float, float]:
    """Return the RMSE of energies (eV/atom) and forces (eV/Å); structures of large forces have smaller weights."""
    path = NONLINEAR / "compared.yaml"
    ACEBBasisSet(configuration).save(str(path))
    energies, forces, n_forces = 0.0, 0.0, 0
    for frame, (energy, predicted) in zip(frames, predict(path, frames, workers), strict=True):
        downweight = frame_weights(frame)[1]
        energies += (downweight * (energy + reference.of(frame.atoms) - frame.energy) / len(frame.atoms)) ** 2
        forces += float(((downweight * (predicted - frame.forces)) ** 2).sum())
        n_forces += frame.forces.size
    return (energies / len(frames)) ** 0.5, (forces / n_forces) ** 0.5


def _write_input(
    settings: FitSettings,
    solution: Solution,
    frames: Sequence[Frame],
    reference: ReferenceEnergies,
    linear: Any,
    workers: int,
) -> float:
    """Write the input files of pacemaker, with the weights of the linear fit; return the sum of the weights."""
    # pacemaker silently ignores structures without neighbours, which do not contribute to the fit.
    frames = [frame for frame in frames if len(frame.atoms) > 1 or frame.atoms.pbc.all()]
    of_energies, of_forces = [], []
    for frame in frames:
        energy, force = frame_weights(frame)
        # The linear fit weights errors of total energies, pacemaker those of energies per atom.
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


def _run(command: Sequence[str], settings: FitSettings, deadline: Deadline) -> None:
    """Run pacemaker in its folder, with its output in this log, until it ends or the time limit or the deadline passes."""
    limit = Deadline() if settings.time_limit is None else Deadline(time.monotonic() + settings.time_limit)
    process = subprocess.Popen(command, cwd=NONLINEAR, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT)
    try:
        while process.poll() is None:
            if deadline.has_passed:
                deadline.check("the nonlinear fit")
            if limit.has_passed and _is_potential(NONLINEAR / INTERIM):
                log("nonlinear fit: stopped at the time limit")
                return
            time.sleep(0.5)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
    if process.returncode != 0 or not (NONLINEAR / "output_potential.yaml").exists():
        raise ProgramError("diverged", f"pacemaker ended with status {process.returncode}; the reason is in its log")
