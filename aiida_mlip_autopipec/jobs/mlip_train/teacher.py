"""The potential of a teacher as the prior of a fit: the fit solves for the difference from its coefficients.

A teacher is a cheap method, such as a foundation model, to whose many labels this potential was fitted before.

With the same functions as the teacher's potential, the difference is one linear least-squares problem, whose ridge pulls the
coefficients towards those of the teacher. The energies of both potentials are relative to the free atoms of their own labels;
if the free-atom energies of the teacher are wrong, an offset for each element corrects them. Cross-validation on hold-out
labels decides between fits with and without this prior.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from mlip_common.deadline import Deadline
from mlip_common.errors import ProgramError, log
from pyace import BBasisConfiguration

from .basis import Basis
from .checkpoint import TEACHER_FACTORS
from .data import Frame, ReferenceEnergies, assign_folds, is_free_atom
from .design import reduced_design_matrix
from .hyperparameters import (
    DEFAULT_RIDGE,
    INITIAL_WEIGHTS,
    RIDGES,
    SIGNIFICANT,
    TOLERANCE,
    FunctionSelection,
    best_ridge,
    optimise_hyperparameters,
)
from .linear import Solution, penalty_of, with_short_distances
from .problem import Problem, Ridge, Weights
from .repulsion import Pair, set_onsets
from .rows import RowBuilder
from .settings import FitSettings

NO_PRIOR, PRIOR, PRIOR_WITH_OFFSET = "no prior", "prior", "prior with offset"
"""The fits that are compared."""


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
    except Exception as error:
        raise ProgramError("bad_input", f"{path}: cannot be read as a potential: {error}") from error
    if sorted(basis.index_of_element) != settings.elements:
        raise ProgramError(
            "bad_input",
            f"{path}: has the elements {', '.join(basis.index_of_element)}, not {', '.join(settings.elements)}",
        )
    try:
        return Teacher(basis, basis.coefficients())
    except ValueError as error:
        message = f"{path}: {error}; the prior is a potential of the linear engine"
        raise ProgramError("bad_input", message) from error


def fit_differences(
    settings: FitSettings,
    teacher: Teacher,
    training: Sequence[Frame],
    reference: ReferenceEnergies,
    workers: int,
    deadline: Deadline,
) -> dict[str, Solution]:
    """Return the linear fits with all functions of the teacher and a ridge towards its coefficients, by the kind of prior.

    :raises ProgramError: of the kind `out_of_time`, at the deadline.
    """
    log(f"difference from the teacher: {teacher.basis.n_functions} functions, cutoff {teacher.basis.cutoff:g} Å")
    factors = reduced_design_matrix(
        teacher.basis, training, assign_folds(training), reference, workers, deadline, folder=TEACHER_FACTORS
    )
    found = {}
    for name, origin in _origins(teacher, training, reference, workers, deadline).items():
        problem = Problem(factors, penalty_of(teacher.basis), settings.force_weight, origin=origin)
        selection = FunctionSelection.all_candidates(problem)
        choice = optimise_hyperparameters(settings, problem, selection, workers)
        solution = Solution(teacher.basis, problem, selection, choice)
        found[name] = with_short_distances(settings, solution, training, workers)
    return found


def _origins(
    teacher: Teacher, training: Sequence[Frame], reference: ReferenceEnergies, workers: int, deadline: Deadline
) -> dict[str, np.ndarray]:
    """Return the coefficients of the teacher, and the same with an offset of the energy of each atom in periodic structures.

    The free-atom energies of a foundation model may be wrong even if its forces are accurate. The second prior adds the mean
    difference of the energies by oracle and by teacher, for each element.
    """
    periodic = [
        frame for frame in training if frame.is_first and frame.atoms.pbc.all() and not is_free_atom(frame.atoms)
    ]
    origins = {PRIOR: teacher.coefficients}
    if reference.source == "least_squares" or not periodic:
        return origins
    offsets = _offsets(teacher, periodic, reference)
    log(f"energies of atoms by the oracle minus those by the teacher (eV): {offsets}")
    moved = teacher.coefficients.copy()
    for element, offset in offsets.items():
        moved += offset * _energy_of_each(element, teacher, periodic, reference, workers, deadline)
    return {**origins, PRIOR_WITH_OFFSET: moved}


def _offsets(teacher: Teacher, frames: Sequence[Frame], reference: ReferenceEnergies) -> dict[str, float]:
    """Return the mean difference (eV) of the energies of oracle and teacher for an atom of each element, by least squares."""
    builder, elements = RowBuilder(teacher.basis), list(reference.of_element)
    counts = np.array([[frame.atoms.get_chemical_symbols().count(el) for el in elements] for frame in frames])
    predicted = np.array([builder.energy_row(frame.atoms) @ teacher.coefficients for frame in frames])
    energies = np.array([frame.energy - reference.of(frame.atoms) for frame in frames]) - predicted
    sizes = counts.sum(axis=1)
    found = np.linalg.lstsq(counts / sizes[:, None], energies / sizes, rcond=None)[0]
    return dict(zip(elements, found.tolist(), strict=True))


def _energy_of_each(
    element: str,
    teacher: Teacher,
    frames: Sequence[Frame],
    reference: ReferenceEnergies,
    workers: int,
    deadline: Deadline,
) -> np.ndarray:
    """Return coefficients (m,) with which each atom of an element in these structures has an energy of 1 eV, without forces."""
    constant = [
        replace(
            frame,
            energy=reference.of(frame.atoms) + frame.atoms.get_chemical_symbols().count(element),
            forces=np.zeros_like(frame.forces),
            virial=None if frame.virial is None else np.zeros_like(frame.virial),
        )
        for frame in frames
    ]
    factors = reduced_design_matrix(
        teacher.basis, constant, assign_folds(constant), reference, workers, deadline, trial=True
    )
    problem, weights = Problem(factors, penalty_of(teacher.basis), 1.0), Weights(*INITIAL_WEIGHTS)
    everything = FunctionSelection.all_candidates(problem)
    ridge = best_ridge(problem, everything, weights, RIDGES, workers).ridge if len(factors) > 1 else DEFAULT_RIDGE
    return Ridge.of_rows(problem.stack(weights, range(len(factors)), everything.functions), problem.penalty).solve(
        ridge
    )


def reference_with_teacher(
    teacher: Teacher, training: Sequence[Frame], reference: ReferenceEnergies
) -> ReferenceEnergies:
    """Return reference energies with which the teacher predicts the energies of the training structures best.

    Reference energies from isolated atoms, or given ones, do not change: a free atom has the energy 0 in both potentials.
    """
    if reference.source != "least_squares":
        return reference
    offsets = _offsets(teacher, [frame for frame in training if frame.is_first], reference)
    found = {element: energy + offsets[element] for element, energy in reference.of_element.items()}
    return ReferenceEnergies(found, reference.source)


def best_of(candidates: Mapping[str, Solution]) -> str:
    """Return the name of the best fit: the first one, unless another has a significantly smaller validation error.

    A fit with larger errors of the many forces is not chosen, even if its errors of the few energies are smaller.
    """
    names = list(candidates)
    without = candidates[names[0]].choice

    def is_better(name: str) -> bool:
        choice = candidates[name].choice
        return choice.error < SIGNIFICANT * without.error and choice.force_error <= TOLERANCE * without.force_error

    return min(filter(is_better, names), key=lambda name: candidates[name].choice.error, default=names[0])


def report_of(candidates: Mapping[str, Solution]) -> dict[str, Any]:
    """Return the choice among a fit without prior and fits with the teacher as prior, and their validation errors."""
    for name, solution in candidates.items():
        log(f"  {name}: validation errors {solution.choice.energy_error:.3g}, {solution.choice.force_error:.3g}")
    chosen = best_of(candidates)
    return {
        "use": "exploration only" if chosen == NO_PRIOR else "exploration and prior",
        "chosen": chosen,
        "chosen_by": "no cross-validation: too few structures"
        if math.isnan(candidates[NO_PRIOR].choice.error)
        else "cross-validation on the labels of the oracle: the smallest product of the errors of energies and of forces, "
        f"where a prior must lower the product by {1 - SIGNIFICANT:.0%} and not raise the error of forces by more than "
        f"{TOLERANCE - 1:.0%}",
        "candidates": {
            name: {
                "n_functions": len(solution.selection.functions),
                "validation_energy_rms": _finite_or_none(solution.choice.energy_error),
                "validation_force_rms": _finite_or_none(solution.choice.force_error),
            }
            for name, solution in candidates.items()
        },
    }


def _finite_or_none(error: float) -> float | None:
    return error if math.isfinite(error) else None
