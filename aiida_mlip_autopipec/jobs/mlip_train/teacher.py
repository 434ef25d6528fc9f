"""The potential of a teacher as the origin of a fit: the fit solves for the difference from its coefficients.

A linear potential with the functions of the teacher differs from it by the same functions, so that the difference is one linear
least-squares problem, whose ridge pulls towards the teacher. Both potentials are relative to free atoms, each to those of its
own labels. Whether the difference predicts hold-out labels better than a fit without teacher, cross-validation decides.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mlip_common.deadline import Deadline
from mlip_common.errors import ProgramError, log
from pyace import BBasisConfiguration

from .basis import Basis
from .checkpoint import TEACHER_FACTORS
from .data import Frame, ReferenceEnergies, assign_folds
from .design import accumulate
from .hyperparameters import SIGNIFICANT, FunctionSelection, optimise_hyperparameters
from .linear import Solution, penalty_of, with_short_distances
from .problem import Problem
from .repulsion import Pair, set_onsets
from .rows import RowBuilder
from .settings import FitSettings

EXPLORATION, PRIOR = "exploration only", "exploration and prior"
"""For what the teacher is used."""


@dataclass(frozen=True)
class Teacher:
    """The functions of the potential of a teacher, and their coefficients (m,)."""

    basis: Basis
    coefficients: np.ndarray


def read_teacher(path: Path, settings: FitSettings, shortest: Mapping[Pair, float]) -> Teacher:
    """Read the `potential.yaml` of a teacher.

    :param shortest: the shortest distance (Å) of each pair in the training structures, which is outside the core repulsion.
    :raises ProgramError: of the kind `bad_input`, if it cannot be read, is not linear, or has other elements.
    """
    try:
        configuration = BBasisConfiguration(str(path))
        if settings.core_repulsion:
            set_onsets(configuration, shortest)
        basis = Basis({"teacher": hashlib.sha256(path.read_bytes()).hexdigest()}, configuration)
        coefficients = basis.coefficients()
    except Exception as error:
        raise ProgramError("bad_input", f"{path}: cannot be read as a potential: {error}") from error
    if sorted(basis.index_of_element) != settings.elements:
        raise ProgramError(
            "bad_input",
            f"{path}: has the elements {', '.join(basis.index_of_element)}, not {', '.join(settings.elements)}",
        )
    if any(len(function.coeffs) > 1 for block in configuration.funcspecs_blocks for function in block.funcspecs):
        raise ProgramError("bad_input", f"{path}: is not linear; the prior is a potential of the linear engine")
    return Teacher(basis, coefficients)


def fit_difference(
    settings: FitSettings,
    teacher: Teacher,
    training: Sequence[Frame],
    reference: ReferenceEnergies,
    workers: int,
    deadline: Deadline,
) -> Solution:
    """Return the linear fit with all functions of the teacher and a ridge towards its coefficients.

    :raises ProgramError: of the kind `out_of_time`, at the deadline.
    """
    log(f"difference from the teacher: {teacher.basis.n_functions} functions, cutoff {teacher.basis.cutoff:g} Å")
    factors = accumulate(
        teacher.basis, training, assign_folds(training), reference, workers, deadline, folder=TEACHER_FACTORS
    )
    problem = Problem(factors, penalty_of(teacher.basis), settings.force_weight, origin=teacher.coefficients)
    selection = FunctionSelection.whole_pool(problem)
    choice = optimise_hyperparameters(settings, problem, selection, workers)
    return with_short_distances(settings, Solution(teacher.basis, problem, selection, choice), training, workers)


def reference_with_teacher(
    teacher: Teacher, training: Sequence[Frame], reference: ReferenceEnergies
) -> ReferenceEnergies:
    """Return reference energies with which the teacher predicts the energies of the training structures best.

    Reference energies from isolated atoms, or given ones, do not change: a free atom has the energy 0 in both potentials.
    """
    if reference.source != "least_squares":
        return reference
    builder, chosen = RowBuilder(teacher.basis), [frame for frame in training if frame.first]
    elements = list(reference.of_element)
    counts = np.array([[frame.atoms.get_chemical_symbols().count(el) for el in elements] for frame in chosen])
    predicted = np.array([builder.energy_row(frame.atoms) @ teacher.coefficients for frame in chosen])
    sizes = counts.sum(axis=1)
    energies = np.array([frame.energy for frame in chosen]) - predicted
    found = np.linalg.lstsq(counts / sizes[:, None], energies / sizes, rcond=None)[0]
    return ReferenceEnergies(dict(zip(elements, found.tolist(), strict=True)), reference.source)


def report_of(without: Solution, difference: Solution) -> dict[str, Any]:
    """Return the choice between a fit without and one with the teacher, and the validation errors of both."""
    better = is_better(difference, without)
    errors = {"no prior": without, "prior": difference}
    for name, solution in errors.items():
        log(f"  {name}: validation errors {solution.choice.energy_error:.3g}, {solution.choice.force_error:.3g}")
    return {
        "use": PRIOR if better else EXPLORATION,
        "chosen_by": "no cross-validation: too few structures"
        if math.isnan(without.choice.error)
        else "cross-validation on the labels of the oracle: the smaller product of the errors of energies and of forces",
        "candidates": {
            name: {
                "n_functions": len(solution.selection.functions),
                "validation_energy_rms": _finite_or_none(solution.choice.energy_error),
                "validation_force_rms": _finite_or_none(solution.choice.force_error),
            }
            for name, solution in errors.items()
        },
    }


def is_better(difference: Solution, without: Solution) -> bool:
    """Tell whether the difference from the teacher has a smaller validation error; not without cross-validation."""
    return bool(difference.choice.error < SIGNIFICANT * without.choice.error)


def _finite_or_none(error: float) -> float | None:
    return error if math.isfinite(error) else None
