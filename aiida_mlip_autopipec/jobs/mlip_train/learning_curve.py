"""Learning curves: validation error by the number of structures and of functions."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mlip_common.errors import log
from mlip_common.parallel import shared
from mlip_common.progress import progress
from pyace import ACEBBasisSet

from .data import Frame
from .elimination import eliminate
from .evaluation import evaluation_time
from .hyperparameters import mean_errors, over_folds
from .linear import Solution
from .plan import FEW_FUNCTIONS, SEARCH_FOLDS, ridge_cost
from .problem import Ridge

FOLDS_FITTED = (1, 2)
"""Numbers of folds to fit, in addition to all except the hold-out fold."""

FUNCTION_FRACTIONS = (0.125, 0.25, 0.5)
"""Fractions of the functions to fit, in addition to all functions; they are selected by elimination."""


def learning_curve(solution: Solution, frames: Sequence[Frame], workers: int) -> dict[str, Any]:
    """Return the validation errors with fewer structures and with fewer functions, at the chosen weights and ridge.

    :param frames: structures, of which the largest is used to measure the speed of potentials with fewer functions.
    :returns: `by_structures` and `by_functions`: lists of `n_structures` (mean over the folds), `n_functions`, and RMSE
        `energy_rms` and `force_rms` of a hold-out fold, weighted as in the fit (geometric mean over the folds). With fewer
        functions also `microseconds_per_atom`. Empty if there are too few structures for cross-validation.
    """
    n_folds, n_functions = len(solution.problem.factors), len(solution.selection.functions)
    if n_folds < 2:
        return {"by_structures": [], "by_functions": []}
    start = time.monotonic()
    choice = solution.choice
    # With many candidate functions, each fold takes long: two are enough for the course of a curve.
    hold_out = range(n_folds)[: SEARCH_FOLDS if len(solution.problem.penalty) > FEW_FUNCTIONS else None]
    fewer = [folds for folds in FOLDS_FITTED if folds < n_folds - 1]
    # A fit with the potential of a teacher as prior always has all its functions.
    fractions = () if solution.has_prior else FUNCTION_FRACTIONS
    counts = sorted({max(1, round(part * n_functions)) for part in fractions} - {n_functions})
    if len(hold_out) == n_folds:
        full = _point(solution, n_folds - 1, n_functions, choice.energy_error, choice.force_error)
    else:
        full = _fitted(solution, hold_out, n_folds - 1, n_functions, workers)
    by_structures = [_fitted(solution, hold_out, folds, n_functions, workers) for folds in fewer]
    by_functions = [
        _fitted(solution, hold_out, n_folds - 1, count, workers) | {"microseconds_per_atom": time_of}
        for count, time_of in zip(counts, _evaluation_times(solution, counts, frames), strict=True)
    ]
    log(f"learning curves in {time.monotonic() - start:.1f} s")
    return {"by_structures": [*by_structures, full], "by_functions": [*by_functions, full]}


def _fitted(
    solution: Solution, hold_out: Sequence[int], folds_fitted: int, n_functions: int, workers: int
) -> dict[str, float]:
    jobs = [(fold, folds_fitted, n_functions) for fold in hold_out]
    mean = mean_errors(over_folds(_errors, jobs, solution, workers))
    progress.add(ridge_cost(len(solution.problem.penalty), n_functions, workers, len(hold_out)))
    return _point(solution, folds_fitted, n_functions, *mean.tolist())


def _evaluation_times(solution: Solution, counts: Sequence[int], frames: Sequence[Frame]) -> list[float]:
    """Return the times (µs per atom) of potentials with the most important functions, for several rising numbers of them."""
    problem, choice, functions = solution.problem, solution.choice, solution.selection.functions
    if not counts:
        return []
    normal_matrix = problem.normal_matrix(choice.weights, range(len(problem.factors)), functions)
    found = []
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "fewer.yace"
        for remaining, coefficients in eliminate(normal_matrix, problem.penalty[functions], counts[::-1], choice.ridge):
            configuration = solution.basis.reduced(functions[remaining], coefficients)
            ACEBBasisSet(configuration).to_ACECTildeBasisSet().save_yaml(str(path))
            found.append(evaluation_time(path, frames))
    return found[::-1]


def _point(
    solution: Solution, folds_fitted: int, n_functions: int, energy_rms: float, force_rms: float
) -> dict[str, float]:
    factors = solution.problem.factors
    return {
        "n_structures": sum(fold.n_energies for fold in factors) * folds_fitted / len(factors),
        "n_functions": n_functions,
        "energy_rms": energy_rms,
        "force_rms": force_rms,
    }


def _errors(job: tuple[int, int, int]) -> tuple[float, float]:
    hold_out, folds_fitted, n_functions = job
    solution: Solution = shared()
    problem, choice, functions = solution.problem, solution.choice, solution.selection.by_fold[hold_out]
    n_folds = len(problem.factors)
    folds = [(hold_out + 1 + step) % n_folds for step in range(folds_fitted)]
    normal_matrix = problem.normal_matrix(choice.weights, folds, functions)
    if n_functions < len(functions):
        remaining = next(eliminate(normal_matrix, problem.penalty[functions], [n_functions], choice.ridge))[0]
        functions, normal_matrix = (
            functions[remaining],
            normal_matrix[np.ix_(*2 * [np.append(remaining, len(functions))])],
        )
    coefficients = Ridge.of_normal_matrix(normal_matrix, problem.penalty[functions]).solve(choice.ridge)
    return problem.errors(hold_out, functions, coefficients)
