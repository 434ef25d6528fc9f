"""The linear engine: coefficients by least squares with a smoothness prior, hyperparameters by cross-validation.

Drautz, Phys. Rev. B 99, 014104 (2019), for the basis; Witt et al., J. Chem. Phys. 159, 164101 (2023), for the prior.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from acecommon.deadline import Deadline
from acecommon.errors import ExplainedError, log
from acecommon.parallel import pool, shared

from .basis import Basis, complexity_of
from .data import Frame, ReferenceEnergies, assign_folds
from .design import Factors, accumulate, triangle
from .elimination import eliminate, falling_sizes
from .rows import RowBuilder
from .settings import Settings

RIDGES = tuple(10.0**exponent for exponent in np.arange(-15.0, 0.1, 1.0))
ENERGY_WEIGHTS = (10.0, 20.0, 40.0, 80.0)
VIRIAL_WEIGHTS = (0.01, 0.03, 0.1, 0.3)
"""Weights of a derivative by strain against an energy."""

USUAL_WEIGHTS = (20.0, 0.03)
"""Weights of energies and of derivatives by strain from which the search starts; it goes on as long as the errors fall."""

BETTER = 0.98
"""Other weights, but for larger ones of energies, must make the validation error this much smaller: less is noise."""

USUAL_RIDGE = 1e-8
"""Ridge strength where there are too few groups of structures for cross-validation."""

PRIOR_EXPONENT = 2.0
"""Power of its complexity by which a function is held back."""

SAMPLE_ATOMS = 64
"""Number of atoms on which the time of a fit is estimated."""

EXPECTED_OVER_ROWS = 1.5
"""Time of a whole fit over that of the rows of its design matrix."""

SMALLEST_PART = 0.3
"""Part of the functions allowed below which elimination does not go."""

NOISE = 1.03
"""Validation errors of other numbers of functions within this factor are taken as equal: more functions know more."""

AS_GOOD = 1.01
"""Validation errors within this factor are taken as equal."""


@dataclass(frozen=True)
class Weights:
    """Weights of energies against forces, and of derivatives by strain against energies."""

    energy: float
    virial: float


@dataclass(frozen=True)
class Choice:
    """Hyperparameters of the fit, and the validation errors they were chosen by: weighted, geometric mean of the folds."""

    weights: Weights
    ridge: float
    chosen: np.ndarray
    energy_error: float
    force_error: float

    @property
    def error(self) -> float:
        """What is minimised."""
        return float(_merit(np.array([self.energy_error, self.force_error])))


@dataclass(frozen=True)
class Problem:
    """Least squares with a prior on all functions of a basis, in factors."""

    factors: Sequence[Factors]
    penalty: np.ndarray
    force_weight: float

    def of_functions(self, chosen: np.ndarray) -> Problem:
        """Return the problem with some of the functions only."""
        return Problem([one.of_functions(chosen) for one in self.factors], self.penalty[chosen], self.force_weight)

    def products(self, weights: Weights, without: int | None = None) -> np.ndarray:
        """Return the products of all columns, (m + 1, m + 1), of all folds but one."""
        total = np.zeros((len(self.penalty) + 1,) * 2)
        for number, one in enumerate(self.factors):
            if number != without:
                for weight, part in self._weighted(one, weights):
                    total += weight**2 * (part.T @ part)
        return total

    def stack(self, weights: Weights, without: int | None = None) -> np.ndarray:
        """Return one factor of all folds but one."""
        factor = np.zeros((0, len(self.penalty) + 1))
        for number, one in enumerate(self.factors):
            if number != without:
                factor = triangle(
                    np.vstack([factor, *(weight * part for weight, part in self._weighted(one, weights))])
                )
        return factor

    def _weighted(self, one: Factors, weights: Weights) -> list[tuple[float, np.ndarray]]:
        virial = weights.virial * weights.energy
        return [(weights.energy, one.energy), (self.force_weight, one.forces), (virial, one.virial)]


class Ridge:
    """Least squares with a prior: all ridge strengths from one singular value decomposition.

    Columns are scaled to unit length and then by the inverse of the penalty, so that `ridge` has no unit.
    """

    def __init__(self, rows: np.ndarray, penalty: np.ndarray) -> None:
        matrix, target = rows[:, :-1], rows[:, -1]
        length = np.linalg.norm(matrix, axis=0)
        self._scale = 1.0 / (np.where(length > 0, length, np.inf) * penalty)
        left, self._values, self._right = np.linalg.svd(matrix * self._scale, full_matrices=False)
        self._projected = left.T @ target

    def solve(self, ridge: float) -> np.ndarray:
        """Return the coefficients for a ridge strength, relative to the square of the largest singular value."""
        filtered = self._values / (self._values**2 + ridge * self._values[0] ** 2) * self._projected
        return self._scale * (self._right.T @ filtered)


def _validation_errors(job: tuple[Weights, int, tuple[float, ...]]) -> np.ndarray:
    """Return the root mean square errors of energies and forces of a fold left out, one row for each ridge strength."""
    weights, fold, ridges = job
    problem: Problem = shared()
    fit = Ridge(problem.stack(weights, without=fold), problem.penalty)
    left_out = problem.factors[fold]
    return np.array([left_out.errors(np.append(fit.solve(ridge), -1.0)) for ridge in ridges])


def _merit(errors: np.ndarray) -> np.ndarray:
    """Return what is minimised for errors (..., 2) of energies and forces: it needs no weight of one against the other."""
    return np.asarray(errors[..., 0] * errors[..., 1])


def mean_over_folds(
    errors_of: Callable[[Any], Any], jobs: Sequence[tuple[Any, ...]], share: Any, workers: int
) -> np.ndarray:
    """Return the geometric mean over the folds of the errors of energies and forces, (..., 2).

    A fold that holds the only structure of its kind must not outweigh the others: so the mean is that of logarithms.

    :param errors_of: gives the errors of a job, in a worker.
    :param jobs: one for each fold.
    :param share: what the workers share.
    """
    with pool(min(workers, len(jobs)), share) as mapped:
        errors = np.array(list(mapped(errors_of, jobs)))
    return np.asarray(np.exp(np.log(errors).mean(axis=0)))


def _best_ridge(
    problem: Problem, chosen: np.ndarray, weights: Weights, ridges: tuple[float, ...], workers: int
) -> Choice:
    """Return the ridge strength of the smallest error, for given weights."""
    jobs = [(weights, fold, ridges) for fold in range(len(problem.factors))]
    mean = mean_over_folds(_validation_errors, jobs, problem, workers)
    merit = _merit(mean)
    # Of ridge strengths that do as well, the strongest: it extrapolates more calmly.
    best = int(np.flatnonzero(merit <= AS_GOOD * merit.min())[-1])
    return Choice(weights, ridges[best], chosen, *mean[best].tolist())


def choose(settings: Settings, problem: Problem, chosen: np.ndarray, workers: int) -> Choice:
    """Choose what is `auto` by cross-validation over the folds.

    :param chosen: the functions of the problem, in the numbers of the pool.
    """
    ridges = RIDGES if settings.ridge == "auto" else (float(settings.ridge),)
    usual = _usual_weights(settings)
    if len(problem.factors) < 2:
        ridge = USUAL_RIDGE if settings.ridge == "auto" else ridges[0]
        return Choice(usual, ridge, chosen, float("nan"), float("nan"))
    best = _best_ridge(problem, chosen, usual, ridges, workers)
    if settings.energy_weight == "auto":
        best = _search(problem, best, [Weights(energy, usual.virial) for energy in ENERGY_WEIGHTS], ridges, workers)
    if any(len(one.virial) for one in problem.factors):
        candidates = [Weights(best.weights.energy, virial) for virial in VIRIAL_WEIGHTS]
        best = _search(problem, best, candidates, ridges, workers)
    return best


def _elimination_errors(job: tuple[Weights, int, list[int]]) -> np.ndarray:
    """Return the root mean square errors of energies and forces of a fold left out, one row for each size."""
    weights, fold, sizes = job
    problem: Problem = shared()
    left_out = problem.factors[fold]
    errors = []
    for left, coefficients in eliminate(problem.products(weights, without=fold), problem.penalty, sizes):
        solution = np.zeros(len(problem.penalty) + 1)
        solution[left], solution[-1] = coefficients, -1.0
        errors.append(left_out.errors(solution))
    return np.array(errors)


def select_functions(problem: Problem, weights: Weights, most: int, *, exactly: bool, workers: int) -> np.ndarray:
    """Return the functions to keep of a pool: the most that predict as well as any number allowed.

    In each fold they are eliminated anew, so that no label takes part in what is measured by it.

    :param most: how many may be kept.
    :param exactly: whether just so many are kept.
    """
    everything = np.arange(len(problem.penalty))
    most = min(most, len(everything))
    size = most
    if not exactly and len(problem.factors) > 1:
        sizes = [len(everything), *falling_sizes(most, max(1, int(SMALLEST_PART * most)))]
        jobs = [(weights, fold, sizes) for fold in range(len(problem.factors))]
        merit = _merit(mean_over_folds(_elimination_errors, jobs, problem, workers))
        best = float(merit[1:].min())
        size = sizes[1 + int(np.flatnonzero(merit[1:] <= NOISE * best)[0])]
        tried = ", ".join(f"{n}: {value / best:.3f}" for n, value in zip(sizes, merit, strict=True))
        log(f"  validation error by number of functions: {tried}")
    if size == len(everything):
        return everything
    return next(eliminate(problem.products(weights), problem.penalty, [size]))[0]


def _usual_weights(settings: Settings) -> Weights:
    usual = Weights(*USUAL_WEIGHTS)
    return usual if settings.energy_weight == "auto" else Weights(float(settings.energy_weight), usual.virial)


def _search(
    problem: Problem, best: Choice, candidates: Sequence[Weights], ridges: tuple[float, ...], workers: int
) -> Choice:
    """Return the best choice from the one given up or down the candidates, as long as the errors fall."""
    first, start = best, candidates.index(best.weights)
    for rest in (candidates[start + 1 :], candidates[start - 1 :: -1] if start else []):
        for weights in rest:
            choice = _best_ridge(problem, best.chosen, weights, ridges, workers)
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


@dataclass(frozen=True)
class Solution:
    """The linear fit of a basis to all folds of the training data."""

    basis: Basis
    problem: Problem
    choice: Choice

    def configuration(self, without: int | None = None, *, all_pairs: bool = False) -> Any:
        """Return the configuration of the potential.

        :param without: a fold that is left out of the fit.
        :param all_pairs: with all functions of one neighbour, those that were not chosen with coefficients of zero.
        """
        coefficients = Ridge(self.problem.stack(self.choice.weights, without), self.problem.penalty).solve(
            self.choice.ridge
        )
        if not np.isfinite(coefficients).all():
            raise ExplainedError("diverged", "the solution of the linear fit is not finite")
        pairs = [index for index, key in enumerate(self.basis.functions) if all_pairs and len(key[2]) == 1]
        more = np.setdiff1d(np.array(pairs, dtype=int), self.choice.chosen)
        return self.basis.reduced([*self.choice.chosen, *more], [*coefficients, *np.zeros(len(more))])

    def report(self) -> dict[str, Any]:
        """Return what was chosen and why."""
        how = (
            f"{len(self.problem.factors)}-fold cross-validation by groups of equal structures: the smallest product of "
        )
        return {
            "energy_weight": self.choice.weights.energy,
            "virial_weight": self.choice.weights.virial,
            "force_weight": self.problem.force_weight,
            "ridge": self.choice.ridge,
            "chosen_by": how + "the errors of energies and of forces",
            "validation_energy_rms": _known(self.choice.energy_error),
            "validation_force_rms": _known(self.choice.force_error),
        }


def _known(error: float) -> float | None:
    """Return an error, or None if there was too little to validate on."""
    return error if np.isfinite(error) else None


def fit_linear(
    settings: Settings,
    basis: Basis,
    training: Sequence[Frame],
    reference: ReferenceEnergies,
    most: int,
    workers: int,
    deadline: Deadline,
) -> Solution:
    """Solve for the coefficients of the best functions of a basis.

    :param most: how many functions the potential may have.
    :raises ExplainedError: if the deadline comes.
    """
    log(f"linear fit: a pool of {basis.n_functions} functions, cutoff {basis.cutoff:g} Å, {workers} processes")
    factors = accumulate(basis, training, assign_folds(training), reference, workers, deadline)
    problem = Problem(factors, _penalty(basis), settings.force_weight)
    begun = time.monotonic()
    usual = _usual_weights(settings)
    chosen = select_functions(problem, usual, most, exactly=settings.n_functions != "auto", workers=workers)
    problem = problem.of_functions(chosen)
    choice = choose(settings, problem, chosen, workers)
    log(
        f"chosen by {len(factors)}-fold cross-validation in {time.monotonic() - begun:.0f} s: {len(chosen)} "
        f"functions, weights {choice.weights}, ridge {choice.ridge:g}"
    )
    return Solution(basis, problem, choice)


def affordable(basis: Basis, training: Sequence[Frame], workers: int, seconds: float) -> int:
    """Return the number of functions an element, at most that of the basis, whose fit should be done in some seconds."""
    builder, atoms = RowBuilder(basis), 0
    begun = time.monotonic()
    for frame in sorted(training, key=lambda frame: len(frame.atoms)):
        if len(frame.atoms) > 1 or frame.atoms.pbc.any():
            builder.rows(frame.atoms, strain=frame.virial is not None)
            atoms += len(frame.atoms)
        if atoms >= SAMPLE_ATOMS:
            break
    each = (time.monotonic() - begun) / max(1, atoms)
    total = sum(len(frame.atoms) for frame in training if frame.first)
    expected = EXPECTED_OVER_ROWS * each * total / workers
    fewer = basis.n_functions * min(1.0, max(seconds, 0.05) / expected)
    return max(5, int(fewer / len(basis.index_of_element)))


def trial_error(
    basis: Basis, frames: Sequence[Frame], reference: ReferenceEnergies, workers: int, deadline: Deadline
) -> float:
    """Return the validation error of a basis on some structures, with the usual weights and the best ridge strength."""
    factors = accumulate(basis, frames, assign_folds(frames), reference, workers, deadline, trial=True)
    problem = Problem(factors, _penalty(basis), 1.0)
    return _best_ridge(problem, np.arange(basis.n_functions), Weights(*USUAL_WEIGHTS), RIDGES, workers).error


def _penalty(basis: Basis) -> np.ndarray:
    complexity = np.array([complexity_of(key) for key in basis.functions])
    return np.asarray((complexity / complexity.min()) ** PRIOR_EXPONENT)
