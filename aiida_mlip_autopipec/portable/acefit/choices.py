"""What is `auto` in the linear engine, by cross-validation: functions, ridge strength, weights.

No label takes part in what is measured by it: the functions too are chosen anew in each fold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from acecommon.errors import log
from acecommon.parallel import pool, shared

from .elimination import eliminate, falling_sizes
from .problem import Problem, Ridge, Weights
from .settings import Settings

RIDGES = tuple((10.0 ** np.arange(-15.0, 0.1, 0.5)).tolist())
ENERGY_WEIGHTS = (5.0, 10.0, 20.0, 40.0, 80.0)
VIRIAL_WEIGHTS = (0.01, 0.03, 0.1, 0.3)
"""Weights of a derivative by strain against an energy."""

USUAL_WEIGHTS = (20.0, 0.03)
"""Weights of energies and of derivatives by strain from which the search starts."""

BETTER = 0.98
"""Other weights, but for larger ones of energies, must make the validation error this much smaller: less is noise."""

USUAL_RIDGE = 1e-8
"""Ridge strength where there are too few groups of structures for cross-validation."""

ELIMINATION_RIDGES = tuple(10.0**exponent for exponent in range(-12, -5))
USUAL_ELIMINATION_RIDGE = 1e-10
"""Ridge strengths while functions are removed, and the one from which the search starts.

Which functions matter depends on it: exact labels tell small coefficients apart, noisy ones only large ones.
"""

FEW_FUNCTIONS, ENOUGH_STRUCTURES = 600, 40
"""Number of functions up to which all candidates are tried, and functions are chosen anew with the weights that were found, if
there are so many structures.

That takes seconds, and labels that are not many make rugged errors. With more functions, a search goes on as long as the errors
fall; so it does with fewer structures, whose errors tell too little to go far from the usual.
"""

ROUNDS = 3
"""How often, at most, functions and then weights are chosen."""

SMALLEST_PART = 0.3
"""Part of the functions allowed below which elimination does not go."""

NOISE = 1.03
"""Validation errors within this factor are taken as equal: more functions know more, and a stronger ridge extrapolates more
calmly."""

T = TypeVar("T")
C = TypeVar("C")


@dataclass(frozen=True)
class Selection:
    """The functions that are kept of a pool: judged by all folds, and by all but the one that is left out."""

    functions: np.ndarray
    of_folds: Sequence[np.ndarray]

    @classmethod
    def everything(cls, problem: Problem) -> Selection:
        """Keep the whole pool."""
        functions = np.arange(len(problem.penalty))
        return cls(functions, [functions] * len(problem.factors))


@dataclass(frozen=True)
class Choice:
    """Weights and ridge strength, and the validation errors they were chosen by: weighted, geometric mean of the folds."""

    weights: Weights
    ridge: float
    energy_error: float
    force_error: float

    @property
    def error(self) -> float:
        """What is minimised."""
        return float(_merit(np.array([self.energy_error, self.force_error])))


def _merit(errors: np.ndarray) -> np.ndarray:
    """Return what is minimised for errors (..., 2) of energies and forces: it needs no weight of one against the other."""
    return np.asarray(errors[..., 0] * errors[..., 1])


def over_folds(function: Callable[[Any], T], jobs: Sequence[tuple[Any, ...]], share: Any, workers: int) -> list[T]:
    """Return what a function gives for jobs, one for each fold.

    :param share: what the workers share.
    """
    with pool(min(workers, len(jobs)), share) as mapped:
        return list(mapped(function, jobs))


def mean_errors(errors: Sequence[Any]) -> np.ndarray:
    """Return the geometric mean over the folds of the errors of energies and forces, (..., 2).

    A fold that holds the only structure of its kind must not outweigh the others: so the mean is that of logarithms.
    """
    return np.asarray(np.exp(np.log(np.array(errors)).mean(axis=0)))


def _eliminated(job: tuple[Weights, int, list[int], float]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the errors of a fold left out, and the functions that are left, for each size."""
    weights, fold, sizes, ridge = job
    problem, of_all = shared()
    # Less work than to add those of the other folds.
    products = of_all - problem.products(weights, [fold], np.arange(len(problem.penalty)))
    solutions = list(eliminate(products, problem.penalty, sizes, ridge))
    return np.array([problem.errors(fold, *one) for one in solutions]), [functions for functions, _ in solutions]


def select_functions(settings: Settings, problem: Problem, weights: Weights, most: int, workers: int) -> Selection:
    """Return the functions to keep of a pool: the most that predict as well as any number allowed.

    In each fold they are eliminated anew, with the ridge strength that predicts best.

    :param most: how many may be kept; just so many are kept if a number was asked for.
    """
    everything = Selection.everything(problem)
    most = min(most, len(problem.penalty))
    exactly = settings.n_functions != "auto"
    folds = range(len(problem.factors))
    if exactly and most == len(problem.penalty):
        return everything
    given = USUAL_ELIMINATION_RIDGE if settings.ridge == "auto" else max(float(settings.ridge), ELIMINATION_RIDGES[0])
    of_all = problem.products(weights, folds, everything.functions)
    if len(folds) < 2:
        return Selection(next(eliminate(of_all, problem.penalty, [most], given))[0], everything.of_folds)
    sizes = [most] if exactly else falling_sizes(most, max(1, int(SMALLEST_PART * most)))
    tried: dict[float, tuple[np.ndarray, list[list[np.ndarray]]]] = {}

    def error(ridge: float) -> float:
        jobs = [(weights, fold, sizes, ridge) for fold in folds]
        errors, left = zip(*over_folds(_eliminated, jobs, (problem, of_all), workers), strict=True)
        tried[ridge] = _merit(mean_errors(errors)), list(left)
        best = float(tried[ridge][0].min())
        log(f"  elimination with ridge strength {ridge:g}: validation error {best:.3g}")
        return best

    errors = try_candidates(ELIMINATION_RIDGES if settings.ridge == "auto" else [given], given, error, problem)
    ridge = min(errors, key=lambda one: errors[one])
    merit, left = tried[ridge]
    number = int(np.flatnonzero(merit <= NOISE * merit.min())[0])
    by_size = ", ".join(f"{n}: {value / merit.min():.3f}" for n, value in zip(sizes, merit, strict=True))
    log(f"  validation error by number of functions: {by_size}")
    functions = next(eliminate(of_all, problem.penalty, [sizes[number]], ridge))[0]
    return Selection(functions, [of_fold[number] for of_fold in left])


def _is_thorough(problem: Problem) -> bool:
    structures = sum(one.n_energies for one in problem.factors)
    return len(problem.penalty) <= FEW_FUNCTIONS and structures >= ENOUGH_STRUCTURES


def try_candidates(candidates: Sequence[C], start: C, error: Callable[[C], float], problem: Problem) -> dict[C, float]:
    """Return the errors of the candidates that are tried: all if that is worth it; else from the start up, or else down,
    until one is worse.
    """
    place, thorough = candidates.index(start), _is_thorough(problem)
    errors = {start: error(start)}
    for rest in (candidates[place + 1 :], candidates[:place][::-1]):
        for candidate in rest:
            least = min(errors.values())
            errors[candidate] = error(candidate)
            if not thorough and errors[candidate] >= least:
                break
        if not thorough and min(errors.values()) < errors[start]:
            break
    return errors


def _validation_errors(job: tuple[Weights, int, tuple[float, ...]]) -> np.ndarray:
    """Return the root mean square errors of energies and forces of a fold left out, one row for each ridge strength."""
    weights, fold, ridges = job
    problem, selection = shared()
    functions = selection.of_folds[fold]
    products = problem.products(weights, problem.others(fold), functions)
    fit = Ridge.of_products(products, problem.penalty[functions])
    return np.array([problem.errors(fold, functions, fit.solve(ridge)) for ridge in ridges])


def best_ridge(
    problem: Problem, selection: Selection, weights: Weights, ridges: tuple[float, ...], workers: int
) -> Choice:
    """Return the strongest of the ridge strengths that predict best, for given weights."""
    jobs = [(weights, fold, ridges) for fold in range(len(problem.factors))]
    mean = mean_errors(over_folds(_validation_errors, jobs, (problem, selection), workers))
    merit = _merit(mean)
    best = int(np.flatnonzero(merit <= NOISE * merit.min())[-1])
    return Choice(weights, ridges[best], *mean[best].tolist())


def select_and_choose(settings: Settings, problem: Problem, most: int, workers: int) -> tuple[Selection, Choice]:
    """Choose the functions to keep, at most so many, and the weights and the ridge strength, as far as they are `auto`."""

    def chosen_with(weights: Weights) -> tuple[Selection, Choice]:
        selection = select_functions(settings, problem, weights, most, workers)
        return selection, choose(settings, problem, selection, workers)

    weights = usual_weights(settings)
    best = chosen_with(weights)
    for _ in range(ROUNDS - 1 if _is_thorough(problem) else 0):
        if best[1].weights == weights:
            break
        weights = best[1].weights
        again = chosen_with(weights)
        if not again[1].error < best[1].error:
            break
        best = again
    return best


def choose(settings: Settings, problem: Problem, selection: Selection, workers: int) -> Choice:
    """Choose the weights and the ridge strength, as far as they are `auto`."""
    ridges = RIDGES if settings.ridge == "auto" else (float(settings.ridge),)
    usual = usual_weights(settings)
    if len(problem.factors) < 2:
        ridge = USUAL_RIDGE if settings.ridge == "auto" else ridges[0]
        return Choice(usual, ridge, float("nan"), float("nan"))

    def error(weights: Weights) -> Choice:
        return best_ridge(problem, selection, weights, ridges, workers)

    best = error(usual)
    if settings.energy_weight == "auto":
        best = _search(best, [Weights(energy, usual.virial) for energy in ENERGY_WEIGHTS], error, problem)
    if any(len(one.virial) for one in problem.factors):
        best = _search(best, [Weights(best.weights.energy, virial) for virial in VIRIAL_WEIGHTS], error, problem)
    return best


def usual_weights(settings: Settings) -> Weights:
    """Return the weights from which the search starts."""
    usual = Weights(*USUAL_WEIGHTS)
    return usual if settings.energy_weight == "auto" else Weights(float(settings.energy_weight), usual.virial)


def _search(
    start: Choice, candidates: Sequence[Weights], choice_with: Callable[[Weights], Choice], problem: Problem
) -> Choice:
    """Return the best choice with weights of the candidates, that at the start among them."""
    choices = {start.weights: start}

    def handicapped(weights: Weights) -> float:
        if weights not in choices:
            choices[weights] = choice_with(weights)
            told = f"energy weight {weights.energy:g}, virial weight {weights.virial:g}"
            log(f"  {told}: {choices[weights].error / start.error:.3f}")
        # Energies are few: if it costs nothing, they weigh more.
        preferred = weights == start.weights or weights.energy > start.weights.energy
        return choices[weights].error / (1.0 if preferred else BETTER)

    errors = try_candidates(candidates, start.weights, handicapped, problem)
    return choices[min(errors, key=lambda weights: errors[weights])]
