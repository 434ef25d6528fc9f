"""Choice of functions, ridge strength and weights of the linear engine by cross-validation, where they are `auto`.

The labels of a hold-out fold are not used to predict them: the functions, too, are selected again for each fold. Exception: in
a large dataset all folds have the functions that were selected on a sample (see `sample`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from mlip_common.errors import log
from mlip_common.parallel import shared, worker_pool
from mlip_common.progress import progress

from .elimination import eliminate, falling_sizes
from .plan import FEW_FUNCTIONS, SEARCH_FOLDS, elimination_cost, ridge_cost
from .problem import Problem, Ridge, Weights
from .settings import FitSettings

RIDGES = tuple((10.0 ** np.arange(-15.0, 0.1, 0.5)).tolist())
ENERGY_WEIGHTS = (5.0, 10.0, 20.0, 40.0, 80.0)
VIRIAL_WEIGHTS = (0.01, 0.03, 0.1, 0.3)
"""Weights of virials relative to energies."""

INITIAL_WEIGHTS = (20.0, 0.03)
"""Weights of energies and of virials at which the search starts."""

SIGNIFICANT = 0.98
"""Other weights are chosen only if they lower the validation error to this fraction, since smaller differences are noise.
A larger energy weight is chosen if it lowers the error at all."""

DEFAULT_RIDGE = 1e-8
"""Ridge strength if there are too few groups of structures for cross-validation."""

ELIMINATION_RIDGES = tuple(10.0**exponent for exponent in range(-14, -5))
"""Ridge strengths that are tried during the elimination of functions. All of them, as the error may have several minima: with
exact labels a weak ridge is best, with noisy labels a stronger one."""

USUAL_ELIMINATION_RIDGE = ELIMINATION_RIDGES[4]
"""The ridge strength of the elimination without cross-validation."""

RIDGES_OF_MANY_CANDIDATES = ELIMINATION_RIDGES[:8:2]
"""Ridge strengths that are tried with more than :data:`FEW_FUNCTIONS` candidate functions."""

MANY_STRUCTURES = 40
"""With at least this number of structures and at most :data:`FEW_FUNCTIONS` candidate functions, all weights are tried, and
functions are selected again with the optimised weights.

This takes seconds, and finds the minimum even if the error is not smooth. Otherwise the search of the weights stops when the
error rises: with more functions to save time, with fewer structures because their errors are too uncertain for a wide search.
"""

MAX_ITERATIONS = 3
"""Largest number of iterations of selecting functions and then weights."""

SMALLEST_FRACTION = 0.3
"""Elimination keeps at least this fraction of the largest number of functions."""

TOLERANCE = 1.03
"""Validation errors within this factor count as equal: then more functions are kept, and the stronger ridge is used, which
extrapolates more smoothly."""

NEGLIGIBLE = (1e-5, 1e-4)
"""Errors of energies (eV) and forces (eV/Å) below which differences do not count: where all forces vanish by symmetry, their
errors are rounding errors."""

T = TypeVar("T")
C = TypeVar("C")


@dataclass(frozen=True)
class FunctionSelection:
    """Selected functions: from all folds, and for each fold from the other folds."""

    functions: np.ndarray
    by_fold: Sequence[np.ndarray]

    @classmethod
    def all_candidates(cls, problem: Problem) -> FunctionSelection:
        """Select all candidate functions."""
        functions = np.arange(len(problem.penalty))
        return cls(functions, [functions] * len(problem.factors))


@dataclass(frozen=True)
class Hyperparameters:
    """Weights and ridge strength, with their validation errors (weighted; geometric mean over the folds)."""

    weights: Weights
    ridge: float
    energy_error: float
    force_error: float

    @property
    def error(self) -> float:
        """The objective that is minimised."""
        return float(_objective(np.array([self.energy_error, self.force_error])))


def _objective(errors: np.ndarray) -> np.ndarray:
    """Return the product of the errors (..., 2) of energies and forces: as an objective it needs no relative weight."""
    return np.asarray(np.maximum(errors, NEGLIGIBLE).prod(axis=-1))


def over_folds(function: Callable[[Any], T], jobs: Sequence[tuple[Any, ...]], share: Any, workers: int) -> list[T]:
    """Run a function for jobs, one per fold, in parallel and return the results.

    :param share: data that the workers share.
    """
    with worker_pool(min(workers, len(jobs)), share) as mapped:
        return list(mapped(function, jobs))


def mean_errors(errors: Sequence[Any]) -> np.ndarray:
    """Return the geometric mean over the folds of the errors of energies and forces, (..., 2).

    In an arithmetic mean, a fold with the only structure of its kind would outweigh the others.
    """
    return np.asarray(np.exp(np.log(np.array(errors)).mean(axis=0)))


Elimination = tuple[np.ndarray, list[np.ndarray]]
"""Errors of a hold-out fold (sizes, 2), and the remaining functions of each size."""


def _eliminate_in_fold(job: tuple[Weights, int, list[int], Sequence[float]]) -> list[Elimination]:
    """Return the elimination without a hold-out fold, for each ridge strength."""
    weights, fold, sizes, ridges = job
    problem, of_all = shared()
    # Cheaper than adding the matrices of the other folds.
    normal_matrix = of_all - problem.normal_matrix(weights, [fold], np.arange(len(problem.penalty)))

    def eliminated(ridge: float) -> Elimination:
        solutions = list(eliminate(normal_matrix, problem.penalty, sizes, ridge))
        errors = np.array([problem.errors(fold, *solution) for solution in solutions])
        return errors, [functions for functions, _ in solutions]

    return [eliminated(ridge) for ridge in ridges]


def select_functions(
    settings: FitSettings, problem: Problem, weights: Weights, most: int, workers: int
) -> FunctionSelection:
    """Select functions from the candidates by backward elimination: the largest number within the tolerance of the best error.

    The elimination is repeated for each hold-out fold, with the strongest ridge whose validation error is within the tolerance
    of the smallest. The ridge is chosen by the first folds only, unless the candidates are few and the structures are many.

    :param most: largest number of functions; exactly this number is selected if `n_functions` is given.
    """
    all_candidates = FunctionSelection.all_candidates(problem)
    most = min(most, len(problem.penalty))
    exactly = settings.n_functions != "auto"
    folds = range(len(problem.factors))
    if exactly and most == len(problem.penalty):
        return all_candidates
    of_all = problem.normal_matrix(weights, folds, all_candidates.functions)
    ridges = _elimination_ridges(settings, problem)
    if len(folds) < 2:
        ridge = USUAL_ELIMINATION_RIDGE if settings.ridge == "auto" else ridges[0]
        return FunctionSelection(next(eliminate(of_all, problem.penalty, [most], ridge))[0], all_candidates.by_fold)
    sizes = [most] if exactly else falling_sizes(most, max(1, int(SMALLEST_FRACTION * most)))

    def eliminated(tried: Sequence[float], hold_out: Sequence[int]) -> list[list[Elimination]]:
        """Return the eliminations without each fold, for each ridge strength."""
        jobs = [(weights, fold, sizes, tried) for fold in hold_out]
        found = over_folds(_eliminate_in_fold, jobs, (problem, of_all), workers)
        progress.add(len(tried) * elimination_cost(len(problem.penalty), len(hold_out), workers))
        return found

    searched = folds if _is_exhaustive(problem) else folds[:SEARCH_FOLDS]
    first = eliminated(ridges, searched)
    place = _strongest_ridge(ridges, first)
    of_folds = [of_fold[place] for of_fold in first]
    if rest := folds[len(searched) :]:
        of_folds += [of_fold[0] for of_fold in eliminated([ridges[place]], rest)]
    errors, remaining = zip(*of_folds, strict=True)
    objective = _objective(mean_errors(errors))
    number = int(np.flatnonzero(objective <= TOLERANCE * objective.min())[0])
    by_size = ", ".join(f"{n}: {value / objective.min():.3f}" for n, value in zip(sizes, objective, strict=True))
    log(f"  validation error by number of functions: {by_size}")
    functions = next(eliminate(of_all, problem.penalty, [sizes[number]], ridges[place]))[0]
    return FunctionSelection(functions, [of_fold[number] for of_fold in remaining])


def _elimination_ridges(settings: FitSettings, problem: Problem) -> Sequence[float]:
    """Return the ridge strengths of the elimination that are tried, rising."""
    if settings.ridge != "auto":
        return (max(float(settings.ridge), ELIMINATION_RIDGES[0]),)
    return RIDGES_OF_MANY_CANDIDATES if len(problem.penalty) > FEW_FUNCTIONS else ELIMINATION_RIDGES


def _strongest_ridge(ridges: Sequence[float], of_folds: Sequence[Sequence[Elimination]]) -> int:
    """Return the place of the strongest ridge whose smallest validation error is within the tolerance of the best.

    :param of_folds: the eliminations of each fold, for each ridge.
    """
    least = [
        float(_objective(mean_errors([errors for errors, _ in of_ridge])).min())
        for of_ridge in zip(*of_folds, strict=True)
    ]
    for ridge, error in zip(ridges, least, strict=True):
        log(f"  elimination with ridge strength {ridge:g}: validation error {error:.3g}")
    return max(place for place, error in enumerate(least) if error <= TOLERANCE * min(least))


def _is_exhaustive(problem: Problem) -> bool:
    structures = sum(fold.n_energies for fold in problem.factors)
    return len(problem.penalty) <= FEW_FUNCTIONS and structures >= MANY_STRUCTURES


def search_candidates(
    candidates: Sequence[C], start: C, error: Callable[[C], float], problem: Problem
) -> dict[C, float]:
    """Return the errors of the candidates that are tried: all if the functions are few and the structures are many, else
    upwards from the start until the error rises, or downwards if no larger candidate is better.
    """
    place, exhaustive = candidates.index(start), _is_exhaustive(problem)
    errors = {start: error(start)}
    for rest in (candidates[place + 1 :], candidates[:place][::-1]):
        for candidate in rest:
            least = min(errors.values())
            errors[candidate] = error(candidate)
            if not exhaustive and errors[candidate] >= least:
                break
        if not exhaustive and min(errors.values()) < errors[start]:
            break
    return errors


def _validation_errors(job: tuple[Sequence[Weights], int, tuple[float, ...]]) -> np.ndarray:
    """Return the RMSE of energies and forces of a hold-out fold, (weights, ridge strengths, 2)."""
    weights, fold, ridges = job
    problem, selection = shared()
    functions = selection.by_fold[fold]
    matrices = problem.normal_matrices(weights, problem.folds_except(fold), functions)
    errors = []
    while matrices:
        fit = Ridge.of_normal_matrix(matrices.pop(0), problem.penalty[functions])
        errors.append([problem.errors(fold, functions, fit.solve(ridge)) for ridge in ridges])
    return np.array(errors)


def best_ridges(
    problem: Problem,
    selection: FunctionSelection,
    weights: Sequence[Weights],
    ridges: tuple[float, ...],
    workers: int,
) -> list[Hyperparameters]:
    """Return, for each of several weights, the strongest ridge within the tolerance of the smallest validation error."""
    jobs = [(weights, fold, ridges) for fold in range(len(problem.factors))]
    found = []
    for each, mean in zip(
        weights, mean_errors(over_folds(_validation_errors, jobs, (problem, selection), workers)), strict=True
    ):
        objective = _objective(mean)
        best = int(np.flatnonzero(objective <= TOLERANCE * objective.min())[-1])
        found.append(Hyperparameters(each, ridges[best], *mean[best].tolist()))
        progress.add(ridge_cost(len(problem.penalty), len(selection.functions), workers), found[-1].error)
    return found


def best_ridge(
    problem: Problem, selection: FunctionSelection, weights: Weights, ridges: tuple[float, ...], workers: int
) -> Hyperparameters:
    """Return :func:`best_ridges` for one choice of weights."""
    return best_ridges(problem, selection, [weights], ridges, workers)[0]


def optimise_selection(
    settings: FitSettings, problem: Problem, most: int, workers: int
) -> tuple[FunctionSelection, Hyperparameters]:
    """Select at most `most` functions, and optimise weights and ridge strength where they are `auto`."""

    def optimised_with(weights: Weights) -> tuple[FunctionSelection, Hyperparameters]:
        selection = select_functions(settings, problem, weights, most, workers)
        return selection, optimise_hyperparameters(settings, problem, selection, workers)

    weights = initial_weights(settings)
    best = optimised_with(weights)
    for _ in range(MAX_ITERATIONS - 1 if _is_exhaustive(problem) else 0):
        if best[1].weights == weights:
            break
        weights = best[1].weights
        again = optimised_with(weights)
        if not again[1].error < best[1].error:
            break
        best = again
    return best


def optimise_hyperparameters(
    settings: FitSettings, problem: Problem, selection: FunctionSelection, workers: int
) -> Hyperparameters:
    """Optimise the weights and the ridge strength where they are `auto`."""
    ridges = allowed_ridges(settings)
    usual = initial_weights(settings)
    if len(problem.factors) < 2:
        ridge = DEFAULT_RIDGE if settings.ridge == "auto" else ridges[0]
        return Hyperparameters(usual, ridge, float("nan"), float("nan"))

    def choices_with(weights: Sequence[Weights]) -> list[Hyperparameters]:
        return best_ridges(problem, selection, weights, ridges, workers)

    [best] = choices_with([usual])
    if settings.energy_weight == "auto":
        best = _search(best, [Weights(energy, usual.virial) for energy in ENERGY_WEIGHTS], choices_with, problem)
    if any(len(fold.virial) for fold in problem.factors):
        best = _search(best, [Weights(best.weights.energy, virial) for virial in VIRIAL_WEIGHTS], choices_with, problem)
    return best


def allowed_ridges(settings: FitSettings) -> tuple[float, ...]:
    """Return the ridge strengths that are compared, rising."""
    return RIDGES if settings.ridge == "auto" else (float(settings.ridge),)


def initial_weights(settings: FitSettings) -> Weights:
    """Return the weights at which the search starts."""
    usual = Weights(*INITIAL_WEIGHTS)
    return usual if settings.energy_weight == "auto" else Weights(float(settings.energy_weight), usual.virial)


def _search(
    start: Hyperparameters,
    candidates: Sequence[Weights],
    choices_with: Callable[[Sequence[Weights]], list[Hyperparameters]],
    problem: Problem,
) -> Hyperparameters:
    """Return the best hyperparameters among the candidate weights, which include the start."""
    choices = {start.weights: start}

    def add(tried: Sequence[Weights]) -> None:
        for choice in choices_with(tried):
            choices[choice.weights] = choice
            label = f"energy weight {choice.weights.energy:g}, virial weight {choice.weights.virial:g}"
            log(f"  {label}: {choice.error / start.error:.3f}")

    def penalised_error(weights: Weights) -> float:
        if weights not in choices:
            add([weights])
        # There are few energies: larger weights of energies are preferred at equal error.
        preferred = weights == start.weights or weights.energy > start.weights.energy
        return choices[weights].error / (1.0 if preferred else SIGNIFICANT)

    place = candidates.index(start.weights)
    near = candidates if _is_exhaustive(problem) else candidates[max(0, place - 1) : place + 2]
    # Together, as this takes little longer than one.
    add([weights for weights in near if weights != start.weights])
    errors = search_candidates(candidates, start.weights, penalised_error, problem)
    return choices[min(errors, key=lambda weights: errors[weights])]
