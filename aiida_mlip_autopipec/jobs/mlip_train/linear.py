"""The linear engine: least squares with a smoothness prior, with functions and hyperparameters from cross-validation.

The basis is that of Drautz, Phys. Rev. B 99, 014104 (2019).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from mlip_common.deadline import Deadline
from mlip_common.errors import ProgramError, log
from mlip_common.progress import progress

from .basis import Basis, complexity_of
from .checkpoint import FACTORS, FULL_FACTORS
from .data import FOLDS, Frame, ReferenceEnergies, assign_folds, shortest_distances
from .design import reduced_design_matrix
from .hyperparameters import (
    INITIAL_WEIGHTS,
    RIDGES,
    FunctionSelection,
    Hyperparameters,
    allowed_ridges,
    best_ridge,
    optimise_selection,
)
from .plan import CHOICE, FULL_MATRIX, MATRIX
from .problem import Problem, Ridge, Weights
from .repulsion import SHORT_DISTANCE_TOLERANCE, SHORT_DISTANCE_WEIGHTS, ShortDistanceRows
from .rows import RowBuilder
from .sample import SAMPLE_ATOMS, sample_of
from .settings import FitSettings

PENALTY_EXPONENT = 2.0
"""Exponent of the complexity in the penalty of a function."""

TIMED_ATOMS = 64
"""Number of atoms for the estimate of the time of a fit."""


MAX_CONTRIBUTION = 1e4
"""Largest contribution of a function to the energies of the training structures, relative to these energies."""

SMALL_ENERGY = 0.1
"""Smallest energy (eV), divided by the square root of the number of atoms, with which contributions are compared."""


@dataclass(frozen=True)
class Solution:
    """A linear fit of a basis to all folds of the training data."""

    basis: Basis
    problem: Problem
    selection: FunctionSelection
    choice: Hyperparameters

    @property
    def has_prior(self) -> bool:
        """Whether the potential of a teacher is the prior of the fit."""
        return self.problem.origin is not None

    def functions(self, *, all_of_one_neighbour: bool = False) -> np.ndarray:
        """Return the indices of the selected functions, optionally followed by all other functions of one neighbour."""
        chosen = self.selection.functions
        pairs = self.basis.of_one_neighbour if all_of_one_neighbour else []
        return np.concatenate([chosen, np.setdiff1d(np.array(pairs, dtype=int), chosen)])

    def configuration(self, without: int | None = None, *, all_of_one_neighbour: bool = False) -> Any:
        """Return the pyace configuration of the potential.

        :param without: a hold-out fold.
        :param all_of_one_neighbour: add the other functions of one neighbour, with coefficients of zero.
        :raises ProgramError: of the kind `diverged` or `unphysical`.
        """
        problem, functions = self.problem, self.selection.functions
        folds = range(len(problem.factors)) if without is None else problem.folds_except(without)
        rows = problem.stack(self.choice.weights, folds, functions)
        solved = Ridge.of_rows(rows, problem.penalty[functions]).solve(self.choice.ridge)
        if not np.isfinite(solved).all():
            raise ProgramError("diverged", "the solution of the linear fit is not finite")
        coefficients = problem.total(functions, solved)[functions]
        self._check_contributions(coefficients)
        functions = self.functions(all_of_one_neighbour=all_of_one_neighbour)
        return self.basis.reduced(functions, np.pad(coefficients, (0, len(functions) - len(coefficients))))

    def _check_contributions(self, coefficients: np.ndarray) -> None:
        """Raise an error if a function contributes much more than the energies, so that other functions must cancel it."""
        squares, number = np.zeros(len(self.problem.penalty) + 1), 0
        # In one pass: the factors are read from files at each access.
        for factors in self.problem.factors:
            squares += (np.asarray(factors.energy) ** 2).sum(axis=0)
            number += factors.n_energies
        squares /= number
        typical = max(float(np.sqrt(squares[-1])), SMALL_ENERGY)
        contributions = np.abs(coefficients) * np.sqrt(squares[self.selection.functions])
        largest = float(contributions.max(initial=0.0)) / typical
        log(f"  largest contribution of a function to the energies: {largest:.3g} times the energies")
        if not largest <= MAX_CONTRIBUTION:
            raise ProgramError(
                "unphysical",
                f"the potential is not usable: one basis function contributes {largest:.3g} times the energies of the training "
                "structures, and other functions cancel this. The structures do not determine all functions: add structures "
                "with displaced atoms, set fewer functions (n_functions) or a larger ridge",
            )

    def report(self) -> dict[str, Any]:
        """Return the chosen hyperparameters and how they were chosen."""
        how = (
            f"{len(self.problem.factors)}-fold cross-validation by groups of equal structures: the smallest product of "
        )
        return {
            "energy_weight": self.choice.weights.energy,
            "virial_weight": self.choice.weights.virial,
            "force_weight": self.problem.force_weight,
            "ridge": self.choice.ridge,
            "chosen_by": how + "the errors of energies and of forces",
            "validation_energy_rms": _finite_or_none(self.choice.energy_error),
            "validation_force_rms": _finite_or_none(self.choice.force_error),
        }


def _finite_or_none(error: float) -> float | None:
    """Return an error, or None if there was no cross-validation."""
    return error if np.isfinite(error) else None


def fit_linear(
    settings: FitSettings,
    basis: Basis,
    training: Sequence[Frame],
    reference: ReferenceEnergies,
    most: int,
    workers: int,
    deadline: Deadline,
    sample_atoms: int = SAMPLE_ATOMS,
) -> Solution:
    """Select functions and hyperparameters, and return the linear fit.

    :param most: largest number of functions in the potential, all elements.
    :param sample_atoms: number of atoms of the sample on which functions and weights are chosen in a large dataset.
    :raises ProgramError: of the kind `out_of_time`, at the deadline.
    """
    log(f"linear fit: {basis.n_functions} candidate functions, cutoff {basis.cutoff:g} Å, {workers} processes")

    def problem_of(basis: Basis, frames: Sequence[Frame], folder: Path) -> Problem:
        factors = reduced_design_matrix(
            basis, frames, assign_folds(frames), reference, workers, deadline, folder=folder
        )
        return Problem(factors, penalty_of(basis), settings.force_weight)

    sample = sample_of(training, sample_atoms)
    if len(sample) < len(training):
        log(f"functions and weights are chosen on a sample of {len(sample)} of {len(training)} training structures")
    progress.begin(MATRIX)
    problem = problem_of(basis, sample, FACTORS)
    progress.begin(CHOICE)
    start = time.monotonic()
    selection, choice = optimise_selection(settings, problem, most, workers)
    log(
        f"chosen by {len(problem.factors)}-fold cross-validation in {time.monotonic() - start:.0f} s: "
        f"{len(selection.functions)} functions, weights {choice.weights}, ridge {choice.ridge:g}"
    )
    if len(sample) < len(training):
        progress.begin(FULL_MATRIX)
        basis, selection = _selected_basis(basis, selection)
        problem = problem_of(basis, training, FULL_FACTORS)
        choice = best_ridge(problem, selection, choice.weights, allowed_ridges(settings), workers)
        log(f"with all structures: ridge {choice.ridge:g}")
    return with_short_distances(settings, Solution(basis, problem, selection, choice), training, workers)


def _selected_basis(basis: Basis, selection: FunctionSelection) -> tuple[Basis, FunctionSelection]:
    """Return the basis of the selected functions and all functions of one neighbour, and the selection in it.

    All folds have the functions that were selected from all folds of the sample.
    """
    kept = np.union1d(selection.functions, basis.of_one_neighbour)
    reduced = Basis(basis.settings, basis.reduced(kept, np.zeros(len(kept))))
    place_of = {key: place for place, key in enumerate(reduced.functions)}
    functions = np.array([place_of[basis.functions[index]] for index in selection.functions])
    return reduced, FunctionSelection(functions, [functions] * FOLDS)


def with_short_distances(
    settings: FitSettings, solution: Solution, training: Sequence[Frame], workers: int
) -> Solution:
    """Return the solution with rows for short distances, if the potential has a core repulsion."""
    if not settings.core_repulsion:
        return solution
    rows = short_distance_rows(solution.basis, training, assign_folds(training))
    problem = with_short_distance_rows(solution.problem, rows, solution.selection, solution.choice, workers)
    return replace(solution, problem=problem)


def short_distance_rows(basis: Basis, frames: Sequence[Frame], folds: Sequence[int]) -> ShortDistanceRows:
    """Return the rows for distances below those in the data, fold by fold."""
    numbers = sorted({fold for frame, fold in zip(frames, folds, strict=True) if frame.is_first})
    of_fold = [[frame for frame, of in zip(frames, folds, strict=True) if of == fold] for fold in numbers]
    shortest = [shortest_distances(members, basis.cutoff) for members in of_fold]
    orders = np.array([len(key[1]) for key in basis.functions])
    return ShortDistanceRows(RowBuilder(basis), orders, list(basis.index_of_element), basis.cutoff, shortest)


def with_short_distance_rows(
    problem: Problem, rows: ShortDistanceRows, selection: FunctionSelection, choice: Hyperparameters, workers: int
) -> Problem:
    """Return the problem with rows for short distances, at their largest weight that hardly raises the validation error."""
    if len(problem.factors) < 2:
        return replace(problem, short_distances=rows, short_distance_weight=SHORT_DISTANCE_WEIGHTS[-1])
    for weight in SHORT_DISTANCE_WEIGHTS:
        found = replace(problem, short_distances=rows, short_distance_weight=weight)
        error = best_ridge(found, selection, choice.weights, (choice.ridge,), workers).error
        log(f"  weight {weight:g} of the rows for short distances: validation error {error / choice.error:.3f}")
        if error <= SHORT_DISTANCE_TOLERANCE * choice.error:
            return found
    return problem


def row_seconds(basis: Basis, training: Sequence[Frame]) -> float:
    """Return the measured time (s) of the rows of the design matrix, per atom and function."""
    builder, atoms = RowBuilder(basis), 0
    start = time.monotonic()
    for frame in sorted(training, key=lambda frame: len(frame.atoms)):
        if len(frame.atoms) > 1 or frame.atoms.pbc.any():
            builder.rows(frame.atoms, strain=frame.virial is not None)
            atoms += len(frame.atoms)
        if atoms >= TIMED_ATOMS:
            break
    return (time.monotonic() - start) / max(1, atoms) / basis.n_functions


def trial_error(
    basis: Basis, frames: Sequence[Frame], reference: ReferenceEnergies, workers: int, deadline: Deadline
) -> float:
    """Return the validation error of a basis on some structures, with the initial weights and the best ridge strength."""
    factors = reduced_design_matrix(basis, frames, assign_folds(frames), reference, workers, deadline, trial=True)
    problem = Problem(factors, penalty_of(basis), 1.0)
    return best_ridge(
        problem, FunctionSelection.all_candidates(problem), Weights(*INITIAL_WEIGHTS), RIDGES, workers
    ).error


def penalty_of(basis: Basis) -> np.ndarray:
    """Return the penalty of each function (m,): a power of its complexity."""
    complexity = np.array([complexity_of(key) for key in basis.functions])
    return np.asarray((complexity / complexity.min()) ** PENALTY_EXPONENT)
