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
"""Weights of energies and of derivatives by strain from which the search starts; it goes on as long as the errors fall."""

BETTER = 0.98
"""Other weights, but for larger ones of energies, must make the validation error this much smaller: less is noise."""

USUAL_RIDGE = 1e-8
"""Ridge strength where there are too few groups of structures for cross-validation."""

ELIMINATION_RIDGES = tuple(10.0**exponent for exponent in range(-12, -5))
USUAL_ELIMINATION_RIDGE = 1e-10
"""Ridge strengths while functions are removed, and the one from which the search starts.

Which functions matter depends on it: exact labels tell small coefficients apart, noisy ones only large ones.
"""

SMALLEST_PART = 0.3
"""Part of the functions allowed below which elimination does not go."""

NOISE = 1.03
"""Validation errors within this factor are taken as equal: more functions know more, and a stronger ridge extrapolates more
calmly."""

T = TypeVar("T")


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

    ridge = _descend(ELIMINATION_RIDGES if settings.ridge == "auto" else [given], given, error)
    merit, left = tried[ridge]
    number = int(np.flatnonzero(merit <= NOISE * merit.min())[0])
    by_size = ", ".join(f"{n}: {value / merit.min():.3f}" for n, value in zip(sizes, merit, strict=True))
    log(f"  validation error by number of functions: {by_size}")
    functions = next(eliminate(of_all, problem.penalty, [sizes[number]], ridge))[0]
    return Selection(functions, [of_fold[number] for of_fold in left])


def _descend(candidates: Sequence[float], start: float, error: Callable[[float], float]) -> float:
    """Return the candidate where the error stops to fall, going up from the start, or else down."""
    place = candidates.index(start)
    best, least = start, error(start)
    for rest in (candidates[place + 1 :], candidates[:place][::-1]):
        for candidate in rest:
            value = error(candidate)
            if value >= least:
                break
            best, least = candidate, value
        if best != start:
            break
    return best


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
        best = _search(best, [Weights(energy, usual.virial) for energy in ENERGY_WEIGHTS], error)
    if any(len(one.virial) for one in problem.factors):
        best = _search(best, [Weights(best.weights.energy, virial) for virial in VIRIAL_WEIGHTS], error)
    return best


def usual_weights(settings: Settings) -> Weights:
    """Return the weights from which the search starts."""
    usual = Weights(*USUAL_WEIGHTS)
    return usual if settings.energy_weight == "auto" else Weights(float(settings.energy_weight), usual.virial)


def _search(best: Choice, candidates: Sequence[Weights], choice_with: Callable[[Weights], Choice]) -> Choice:
    """Return the best choice from the one given up or down the candidates, as long as the errors fall."""
    first, start = best, candidates.index(best.weights)
    for rest in (candidates[start + 1 :], candidates[:start][::-1]):
        for weights in rest:
            choice = choice_with(weights)
            log(
                f"  energy weight {weights.energy:g}, virial weight {weights.virial:g}: {choice.error / best.error:.3f}"
            )
            # Energies are few: if it costs nothing, they weigh more.
            if choice.error >= (1.0 if weights.energy > best.weights.energy else BETTER) * best.error:
                break
            best = choice
        if best is not first:
            break
    return best
