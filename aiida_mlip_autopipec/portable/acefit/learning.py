"""How the validation error falls with more structures and with more functions: would more of them help?"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from acecommon.errors import log
from acecommon.parallel import shared

from .choices import mean_errors, over_folds
from .elimination import eliminate
from .linear import Solution
from .problem import Ridge

FOLDS_FITTED = (1, 2)
"""Numbers of folds that are fitted beside all but one; a solution costs as much as one of the cross-validation."""

PARTS_OF_FUNCTIONS = (0.25, 0.5)
"""Parts of the functions, those that matter most, that are fitted beside all."""


def learning_curve(solution: Solution, workers: int) -> dict[str, Any]:
    """Return the validation errors with fewer structures and with fewer functions, at the weights and ridge chosen.

    :returns: `by_structures` and `by_functions`: lists of `n_structures` (mean of the folds), `n_functions`, and the root
        mean square errors `energy_rms` and `force_rms` of a fold left out, weighted as in the fit (geometric mean over
        the folds). Empty if there was too little to validate on.
    """
    n_folds, n_functions = len(solution.problem.factors), len(solution.selection.functions)
    if n_folds < 2:
        return {"by_structures": [], "by_functions": []}
    begun = time.monotonic()
    choice = solution.choice
    fewer = [folds for folds in FOLDS_FITTED if folds < n_folds - 1]
    counts = sorted({max(1, round(part * n_functions)) for part in PARTS_OF_FUNCTIONS} - {n_functions})
    whole = _point(solution, n_folds - 1, n_functions, choice.energy_error, choice.force_error)
    by_structures = [_fitted(solution, folds, n_functions, workers) for folds in fewer]
    by_functions = [_fitted(solution, n_folds - 1, count, workers) for count in counts]
    log(f"learning curves in {time.monotonic() - begun:.1f} s")
    return {"by_structures": [*by_structures, whole], "by_functions": [*by_functions, whole]}


def _fitted(solution: Solution, folds_fitted: int, n_functions: int, workers: int) -> dict[str, float]:
    jobs = [(left_out, folds_fitted, n_functions) for left_out in range(len(solution.problem.factors))]
    mean = mean_errors(over_folds(_errors, jobs, solution, workers))
    return _point(solution, folds_fitted, n_functions, *mean.tolist())


def _point(
    solution: Solution, folds_fitted: int, n_functions: int, energy_rms: float, force_rms: float
) -> dict[str, float]:
    factors = solution.problem.factors
    return {
        "n_structures": sum(one.n_energies for one in factors) * folds_fitted / len(factors),
        "n_functions": n_functions,
        "energy_rms": energy_rms,
        "force_rms": force_rms,
    }


def _errors(job: tuple[int, int, int]) -> tuple[float, float]:
    left_out, folds_fitted, n_functions = job
    solution: Solution = shared()
    problem, choice, functions = solution.problem, solution.choice, solution.selection.of_folds[left_out]
    n_folds = len(problem.factors)
    folds = [(left_out + 1 + step) % n_folds for step in range(folds_fitted)]
    products = problem.products(choice.weights, folds, functions)
    if n_functions < len(functions):
        left = next(eliminate(products, problem.penalty[functions], [n_functions], choice.ridge))[0]
        functions, products = functions[left], products[np.ix_(*2 * [np.append(left, len(functions))])]
    coefficients = Ridge.of_products(products, problem.penalty[functions]).solve(choice.ridge)
    return problem.errors(left_out, functions, coefficients)
