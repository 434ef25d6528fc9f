"""How the validation error falls with more structures and with more functions: would more of them help?"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from acecommon.errors import log
from acecommon.parallel import shared

from .elimination import eliminate
from .linear import Problem, Ridge, Solution, mean_over_folds

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
    n_folds, n_functions = len(solution.problem.factors), len(solution.choice.chosen)
    if n_folds < 2:
        return {"by_structures": [], "by_functions": []}
    begun = time.monotonic()
    problem, choice = solution.problem, solution.choice
    fewer = [folds for folds in FOLDS_FITTED if folds < n_folds - 1]
    counts = sorted({max(1, round(part * n_functions)) for part in PARTS_OF_FUNCTIONS} - {n_functions}, reverse=True)
    left = eliminate(problem.products(choice.weights), problem.penalty, counts)
    whole = _point(problem, n_folds - 1, choice.energy_error, choice.force_error)
    by_structures = [_fitted(solution, folds, problem, workers) for folds in fewer]
    by_functions = [_fitted(solution, n_folds - 1, problem.of_functions(functions), workers) for functions, _ in left]
    by_functions.reverse()
    log(f"learning curves in {time.monotonic() - begun:.1f} s")
    return {"by_structures": [*by_structures, whole], "by_functions": [*by_functions, whole]}


def _fitted(solution: Solution, folds_fitted: int, problem: Problem, workers: int) -> dict[str, float]:
    n_folds = len(problem.factors)
    jobs = [(left_out, folds_fitted) for left_out in range(n_folds)]
    mean = mean_over_folds(_errors, jobs, (problem, solution.choice), workers)
    return _point(problem, folds_fitted, *mean.tolist())


def _point(problem: Problem, folds_fitted: int, energy_rms: float, force_rms: float) -> dict[str, float]:
    return {
        "n_structures": sum(one.n_energies for one in problem.factors) * folds_fitted / len(problem.factors),
        "n_functions": len(problem.penalty),
        "energy_rms": energy_rms,
        "force_rms": force_rms,
    }


def _errors(job: tuple[int, int]) -> tuple[float, float]:
    left_out, folds_fitted = job
    problem, choice = shared()
    n_folds = len(problem.factors)
    fitted = [problem.factors[(left_out + 1 + step) % n_folds] for step in range(folds_fitted)]
    part = Problem(fitted, problem.penalty, problem.force_weight)
    coefficients = Ridge(part.stack(choice.weights), part.penalty).solve(choice.ridge)
    return problem.factors[left_out].errors(np.append(coefficients, -1.0))
