"""The linear engine: coefficients by least squares with a smoothness prior, hyperparameters by cross-validation.

Drautz, Phys. Rev. B 99, 014104 (2019), for the basis; Witt et al., J. Chem. Phys. 159, 164101 (2023), for the prior.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .basis import Basis, complexity_of
from .checkpoint import Deadline
from .data import Frame, ReferenceEnergies, assign_folds
from .design import Factors, accumulate, triangle
from .errors import TrainingError, log
from .parallel import pool, shared
from .rows import RowBuilder
from .settings import Settings

RIDGES = tuple(10.0**exponent for exponent in np.arange(-15.0, 0.1, 1.0))
ENERGY_WEIGHTS = (10.0, 20.0, 40.0, 80.0)
VIRIAL_WEIGHTS = (0.01, 0.03, 0.1, 0.3)
"""Weights of a derivative by strain against an energy."""

USUAL_WEIGHTS = (10.0, 0.03)
"""Weights of energies and of derivatives by strain from which the search starts; it goes on as long as the errors fall."""

BETTER = 0.98
"""Other weights are taken only if they make the validation error this much smaller: less is noise."""

USUAL_RIDGE = 1e-8
"""Ridge strength where there are too few groups of structures for cross-validation."""

PRIOR_EXPONENT = 2.0
"""Power of its complexity by which a function is held back."""

SAMPLE_ATOMS = 64
"""Number of atoms on which the time of a fit is estimated."""

EXPECTED_OVER_ROWS = 1.5
"""Time of a whole fit over that of the rows of its design matrix."""

FRACTIONS = (0.5, 0.7)
"""Parts of the functions that are tried, too."""

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

    def stack(self, weights: Weights, without: int | None = None) -> np.ndarray:
        """Return one factor of all folds but one."""
        rows = []
        for number, one in enumerate(self.factors):
            if number != without:
                virial = weights.virial * weights.energy * one.virial
                rows += [weights.energy * one.energy, self.force_weight * one.forces, virial]
        return triangle(np.vstack(rows))


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
    tiny = np.finfo(float).tiny
    errors = []
    for ridge in ridges:
        solution = np.append(fit.solve(ridge), -1.0)
        energy, forces = (float(np.sum((part @ solution) ** 2)) for part in (left_out.energy, left_out.forces))
        errors.append([(energy / left_out.n_energies) ** 0.5 + tiny, (forces / left_out.n_forces) ** 0.5 + tiny])
    return np.array(errors)


def _merit(errors: np.ndarray) -> np.ndarray:
    """Return what is minimised for errors (..., 2) of energies and forces: it needs no weight of one against the other."""
    return np.asarray(errors[..., 0] * errors[..., 1])


def _best_ridge(
    problem: Problem, chosen: np.ndarray, weights: Weights, ridges: tuple[float, ...], workers: int
) -> Choice:
    """Return the ridge strength of the smallest error, for given weights."""
    with pool(min(workers, len(problem.factors)), problem) as mapped:
        jobs = [(weights, fold, ridges) for fold in range(len(problem.factors))]
        errors = np.array(list(mapped(_validation_errors, jobs)))
    # A fold that holds the only structure of its kind must not outweigh the others: the mean is that of logarithms.
    mean = np.exp(np.log(errors).mean(axis=0))
    merit = _merit(mean)
    # Of ridge strengths that do as well, the strongest: it extrapolates more calmly.
    best = int(np.flatnonzero(merit <= AS_GOOD * merit.min())[-1])
    return Choice(weights, ridges[best], chosen, *mean[best].tolist())


def choose(settings: Settings, problem: Problem, order: np.ndarray, asked: int | None, workers: int) -> Choice:
    """Choose what is `auto` by cross-validation over the folds.

    :param order: the functions, by complexity.
    :param asked: number of functions the user asked for, all of them if given.
    """
    everything = np.sort(order)
    ridges = RIDGES if settings.ridge == "auto" else (float(settings.ridge),)
    usual = Weights(*USUAL_WEIGHTS)
    if settings.energy_weight != "auto":
        usual = Weights(float(settings.energy_weight), usual.virial)
    if len(problem.factors) < 2:
        ridge = USUAL_RIDGE if settings.ridge == "auto" else ridges[0]
        return Choice(usual, ridge, everything, float("nan"), float("nan"))
    best = _best_ridge(problem, everything, usual, ridges, workers)
    if settings.energy_weight == "auto":
        best = _search(problem, best, [Weights(energy, usual.virial) for energy in ENERGY_WEIGHTS], ridges, workers)
    if any(len(one.virial) for one in problem.factors):
        candidates = [Weights(best.weights.energy, virial) for virial in VIRIAL_WEIGHTS]
        best = _search(problem, best, candidates, ridges, workers)
    if asked is not None:
        return best
    for fraction in FRACTIONS:
        chosen = np.sort(order[: max(1, round(fraction * len(order)))])
        fewer = _best_ridge(problem.of_functions(chosen), chosen, best.weights, ridges, workers)
        log(
            f"  {len(chosen)} of {len(order)} functions: validation error {fewer.error / best.error:.3f} times as large"
        )
        if fewer.error <= best.error:
            return fewer
    return best


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
            if choice.error >= BETTER * best.error:
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

    def configuration(self, without: int | None = None) -> Any:
        """Return the configuration of the potential.

        :param without: a fold that is left out of the fit.
        """
        coefficients = Ridge(self.problem.stack(self.choice.weights, without), self.problem.penalty).solve(
            self.choice.ridge
        )
        if not np.isfinite(coefficients).all():
            raise TrainingError("diverged", "the solution of the linear fit is not finite")
        return self.basis.reduced(self.choice.chosen, coefficients)

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
    workers: int,
    deadline: Deadline,
) -> Solution:
    """Solve for the coefficients of a basis, or of the simplest of its functions if those do as well.

    :raises TrainingError: if the deadline comes.
    """
    log(f"linear fit: {basis.n_functions} functions, cutoff {basis.cutoff:g} Å, {workers} processes")
    factors = accumulate(basis, training, assign_folds(training), reference, workers, deadline)
    problem = Problem(factors, _penalty(basis), settings.force_weight)
    begun = time.monotonic()
    asked = None if settings.n_functions == "auto" else int(settings.n_functions)
    choice = choose(settings, problem, _by_complexity(basis), asked, workers)
    log(
        f"chosen by {len(factors)}-fold cross-validation in {time.monotonic() - begun:.0f} s: {len(choice.chosen)} "
        f"functions, weights {choice.weights}, ridge {choice.ridge:g}"
    )
    return Solution(basis, problem.of_functions(choice.chosen), choice)


def affordable(basis: Basis, training: Sequence[Frame], workers: int, seconds: float) -> int:
    """Return the number of functions an element, at most that of the basis, whose fit should be done in some seconds."""
    builder, atoms = RowBuilder(basis), 0
    begun = time.monotonic()
    for frame in sorted(training, key=lambda frame: len(frame.atoms)):
        if len(frame.atoms) > 1 or frame.atoms.pbc.any():
            builder.rows(frame.atoms)
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


def _by_complexity(basis: Basis) -> np.ndarray:
    """Return the indices of the functions so that the first of them are the simplest of each element."""
    keys: list[Any] = basis.functions
    rank: dict[Any, int] = {}
    place = np.zeros(len(keys))
    for index in sorted(range(len(keys)), key=lambda index: (complexity_of(keys[index]), index)):
        element = keys[index][0]
        place[index] = rank[element] = rank.get(element, -1) + 1
    return np.argsort(place, kind="stable")
