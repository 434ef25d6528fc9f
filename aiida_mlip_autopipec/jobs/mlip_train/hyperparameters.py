"""Choice of functions, ridge strength and weights of the linear engine by cross-validation, where they are `auto`.

The hold-out labels of a fold are not used in its fit: the functions, too, are selected again for each fold.
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
from .plan import elimination_cost, ridge_cost
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
Larger weights of energies are also chosen without this."""

DEFAULT_RIDGE = 1e-8
"""Ridge strength if there are too few groups of structures for cross-validation."""

ELIMINATION_RIDGES = tuple(10.0**exponent for exponent in range(-14, -5))
USUAL_ELIMINATION_RIDGE, RIDGES_OF_LARGE_POOL = ELIMINATION_RIDGES[4], ELIMINATION_RIDGES[:8:2]
"""Ridge strengths during the elimination of functions: those that are tried, the one without cross-validation, and those that
are tried with more than :data:`FEW_FUNCTIONS` functions in the pool. The search does not stop at a minimum, as there may be
several.

With exact labels a weak ridge is best, with noisy labels a stronger one.
"""

SEARCH_FOLDS = 2
"""Number of folds in the search of the ridge strength of the elimination in a large problem, to save time."""

FEW_FUNCTIONS, MANY_STRUCTURES = 600, 40
"""With at most this number of functions in the pool and at least this number of structures, all weights are tried, and
functions are selected again with the optimised weights.

This takes seconds, and finds the minimum even if the error is not smooth. Otherwise the search of the weights stops when the
error rises: with more functions to save time, with fewer structures because their errors are too uncertain for a wide search.
"""

ROUNDS = 3
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
    """Selected functions of a pool: from all folds, and for each fold from the other folds."""

    functions: np.ndarray
    by_fold: Sequence[np.ndarray]

    @classmethod
    def whole_pool(cls, problem: Problem) -> FunctionSelection:
        """Select all functions of the pool."""
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


def _eliminate_in_fold(job: tuple[Weights, int, list[int], float]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the errors of a hold-out fold and the remaining functions, for each size."""
    weights, fold, sizes, ridge = job
    problem, of_all = shared()
    # Cheaper than adding the products of the other folds.
    products = of_all - problem.products(weights, [fold], np.arange(len(problem.penalty)))
    solutions = list(eliminate(products, problem.penalty, sizes, ridge))
    return np.array([problem.errors(fold, *solution) for solution in solutions]), [
        functions for functions, _ in solutions
    ]


def select_functions(
    settings: FitSettings, problem: Problem, weights: Weights, most: int, workers: int
) -> FunctionSelection:
    """Select functions from the pool by backward elimination: the largest number within the tolerance of the best error.

    The elimination is repeated for each hold-out fold, with the strongest ridge whose validation error is within the tolerance
    of the smallest. In a large problem the ridge is chosen by the first folds only.

    :param most: largest number of functions; exactly this number is selected if `n_functions` is given.
    """
    whole_pool = FunctionSelection.whole_pool(problem)
    most = min(most, len(problem.penalty))
    exactly = settings.n_functions != "auto"
    folds = range(len(problem.factors))
    if exactly and most == len(problem.penalty):
        return whole_pool
    given = USUAL_ELIMINATION_RIDGE if settings.ridge == "auto" else max(float(settings.ridge), ELIMINATION_RIDGES[0])
    of_all = problem.products(weights, folds, whole_pool.functions)
    if len(folds) < 2:
        return FunctionSelection(next(eliminate(of_all, problem.penalty, [most], given))[0], whole_pool.by_fold)
    sizes = [most] if exactly else falling_sizes(most, max(1, int(SMALLEST_FRACTION * most)))
    searched = folds if _is_exhaustive(problem) else folds[:SEARCH_FOLDS]

    def eliminated(ridge: float, hold_out: range) -> tuple[np.ndarray, list[list[np.ndarray]]]:
        jobs = [(weights, fold, sizes, ridge) for fold in hold_out]
        errors, remaining = zip(*over_folds(_eliminate_in_fold, jobs, (problem, of_all), workers), strict=True)
        progress.add(elimination_cost(len(problem.penalty), len(hold_out), workers))
        return _objective(mean_errors(errors)), list(remaining)

    def error(ridge: float) -> float:
        best = float(eliminated(ridge, searched)[0].min())
        log(f"  elimination with ridge strength {ridge:g}: validation error {best:.3g}")
        return best

    ridge = given
    if settings.ridge == "auto":
        tried = RIDGES_OF_LARGE_POOL if len(problem.penalty) > FEW_FUNCTIONS else ELIMINATION_RIDGES
        errors = {candidate: error(candidate) for candidate in tried}
        ridge = max(candidate for candidate in errors if errors[candidate] <= TOLERANCE * min(errors.values()))
    objective, remaining = eliminated(ridge, folds)
    number = int(np.flatnonzero(objective <= TOLERANCE * objective.min())[0])
    by_size = ", ".join(f"{n}: {value / objective.min():.3f}" for n, value in zip(sizes, objective, strict=True))
    log(f"  validation error by number of functions: {by_size}")
    functions = next(eliminate(of_all, problem.penalty, [sizes[number]], ridge))[0]
    return FunctionSelection(functions, [of_fold[number] for of_fold in remaining])


def _is_exhaustive(problem: Problem) -> bool:
    structures = sum(fold.n_energies for fold in problem.factors)
    return len(problem.penalty) <= FEW_FUNCTIONS and structures >= MANY_STRUCTURES


def search_candidates(
    candidates: Sequence[C], start: C, error: Callable[[C], float], problem: Problem
) -> dict[C, float]:
    """Return the errors of the candidates that are tried: all in a small problem, else upwards from the start until the error
    rises, or downwards if no larger candidate is better.
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


def _validation_errors(job: tuple[Weights, int, tuple[float, ...]]) -> np.ndarray:
    """Return the RMSE of energies and forces of a hold-out fold, (ridge strengths, 2)."""
    weights, fold, ridges = job
    problem, selection = shared()
    functions = selection.by_fold[fold]
    products = problem.products(weights, problem.folds_except(fold), functions)
    fit = Ridge.of_products(products, problem.penalty[functions])
    return np.array([problem.errors(fold, functions, fit.solve(ridge)) for ridge in ridges])


def best_ridge(
    problem: Problem, selection: FunctionSelection, weights: Weights, ridges: tuple[float, ...], workers: int
) -> Hyperparameters:
    """Return the strongest ridge within the tolerance of the smallest validation error, for given weights."""
    jobs = [(weights, fold, ridges) for fold in range(len(problem.factors))]
    mean = mean_errors(over_folds(_validation_errors, jobs, (problem, selection), workers))
    objective = _objective(mean)
    best = int(np.flatnonzero(objective <= TOLERANCE * objective.min())[-1])
    choice = Hyperparameters(weights, ridges[best], *mean[best].tolist())
    progress.add(ridge_cost(len(problem.penalty), len(selection.functions), workers), choice.error)
    return choice


def optimise_selection(
    settings: FitSettings, problem: Problem, most: int, workers: int
) -> tuple[FunctionSelection, Hyperparameters]:
    """Select at most `most` functions, and optimise weights and ridge strength where they are `auto`."""

    def optimised_with(weights: Weights) -> tuple[FunctionSelection, Hyperparameters]:
        selection = select_functions(settings, problem, weights, most, workers)
        return selection, optimise_hyperparameters(settings, problem, selection, workers)

    weights = initial_weights(settings)
    best = optimised_with(weights)
    for _ in range(ROUNDS - 1 if _is_exhaustive(problem) else 0):
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
    ridges = RIDGES if settings.ridge == "auto" else (float(settings.ridge),)
    usual = initial_weights(settings)
    if len(problem.factors) < 2:
        ridge = DEFAULT_RIDGE if settings.ridge == "auto" else ridges[0]
        return Hyperparameters(usual, ridge, float("nan"), float("nan"))

    def error(weights: Weights) -> Hyperparameters:
        return best_ridge(problem, selection, weights, ridges, workers)

    best = error(usual)
    if settings.energy_weight == "auto":
        best = _search(best, [Weights(energy, usual.virial) for energy in ENERGY_WEIGHTS], error, problem)
    if any(len(fold.virial) for fold in problem.factors):
        best = _search(best, [Weights(best.weights.energy, virial) for virial in VIRIAL_WEIGHTS], error, problem)
    return best


def initial_weights(settings: FitSettings) -> Weights:
    """Return the weights at which the search starts."""
    usual = Weights(*INITIAL_WEIGHTS)
    return usual if settings.energy_weight == "auto" else Weights(float(settings.energy_weight), usual.virial)


def _search(
    start: Hyperparameters,
    candidates: Sequence[Weights],
    choice_with: Callable[[Weights], Hyperparameters],
    problem: Problem,
) -> Hyperparameters:
    """Return the best hyperparameters among the candidate weights, which include the start."""
    choices = {start.weights: start}

    def penalised_error(weights: Weights) -> float:
        if weights not in choices:
            choices[weights] = choice_with(weights)
            label = f"energy weight {weights.energy:g}, virial weight {weights.virial:g}"
            log(f"  {label}: {choices[weights].error / start.error:.3f}")
        # There are few energies: larger weights of energies are preferred at equal error.
        preferred = weights == start.weights or weights.energy > start.weights.energy
        return choices[weights].error / (1.0 if preferred else SIGNIFICANT)

    errors = search_candidates(candidates, start.weights, penalised_error, problem)
    return choices[min(errors, key=lambda weights: errors[weights])]
