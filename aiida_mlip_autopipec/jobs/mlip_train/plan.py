"""The steps of a fit and their estimated costs: scaling laws with constants measured on one core of a typical machine."""

from __future__ import annotations

from collections.abc import Sequence

from .data import FOLDS, Frame
from .sample import SAMPLE_ATOMS, is_large
from .settings import FitSettings

TRIALS, MATRIX, CHOICE, FULL_MATRIX, NONLINEAR, CURVES, ACTIVE_SET, ERRORS = (
    "trials of cutoffs",
    "design matrix",
    "choice of functions",
    "design matrix of all structures",
    "nonlinear fit",
    "learning curves",
    "active set",
    "errors of the potential",
)

ROWS, EVALUATION, ITERATION, ACTIVE = 1.5e-6, 8e-7, 4e-6, 1e-6
"""Seconds per atom and function: rows of the design matrix, one evaluation, one nonlinear iteration, active set."""

REDUCTION = 4.5e-10
"""Seconds per atom and squared number of functions: reduction of the rows to triangular factors."""

ELIMINATION, DECOMPOSITION, PRODUCTS = 4e-10, 4e-10, 3e-10
"""Seconds per cubed number of functions, in one fold."""

EXPECTED_TRIALS, TRIAL_FUNCTIONS, TRIAL_ATOMS, LABELS_PER_FUNCTION = 5, 250, 3000, 12
"""Typical number of trials of cutoffs; their largest number of functions of an element and of atoms; and the force components
for each function."""

CURVE_POINTS = 4
"""Points of the learning curves, without that of the fit itself."""

EXHAUSTIVE = 600
"""Number of functions up to which all candidate hyperparameters are usually tried."""


FEWEST = 5
"""Smallest number of functions of an element."""

_FEWER = 0.95


def matrix_cost(n_atoms: int, n_functions: int, workers: int) -> float:
    """Return the cost (s) of a design matrix."""
    return n_atoms * n_functions * (ROWS + REDUCTION * n_functions) / workers


def trial_cost(subset: Sequence[Frame], n_functions: int, workers: int) -> float:
    """Return the cost (s) of the trial of one cutoff."""
    return matrix_cost(sum(len(frame.atoms) for frame in subset), n_functions, workers)


def elimination_cost(n_functions: int, n_folds: int, workers: int) -> float:
    """Return the cost (s) of one backward elimination from a pool, in some folds."""
    return 1e-3 + n_folds * ELIMINATION * n_functions**3 / min(workers, n_folds)


def ridge_cost(n_pool: int, n_chosen: int, workers: int) -> float:
    """Return the cost (s) of all ridge strengths for one pair of weights, in all folds."""
    each = PRODUCTS * n_pool * n_chosen**2 + DECOMPOSITION * n_chosen**3
    return 1e-3 + FOLDS * each / min(workers, FOLDS)


def step_costs(
    settings: FitSettings, training: Sequence[Frame], n_frames_atoms: int, n_pool: int, most: int, workers: int
) -> dict[str, float]:
    """Return the costs (s) of the steps of a fit, in order.

    :param n_frames_atoms: number of atoms in all structures, train and test.
    :param n_pool: number of functions in the pool, all elements.
    :param most: largest number of functions in the potential, all elements.
    """
    atoms = sum(len(frame.atoms) for frame in training if frame.first)
    chosen = min(most, n_pool)
    exhaustive = n_pool <= EXHAUSTIVE
    eliminations = 0 if chosen == n_pool and settings.n_functions != "auto" else (10 if exhaustive else 2.5)
    ridges = 12 if exhaustive else 5
    costs = {}
    if settings.cutoff == "auto":
        tried = min(TRIAL_ATOMS, atoms)
        functions = min(TRIAL_FUNCTIONS * len(settings.elements), 3 * tried // LABELS_PER_FUNCTION)
        costs[TRIALS] = 0.1 + EXPECTED_TRIALS * matrix_cost(tried, functions, workers)
    costs[MATRIX] = 0.1 + matrix_cost(SAMPLE_ATOMS if is_large(atoms) else atoms, n_pool, workers)
    costs[CHOICE] = (
        0.1 + eliminations * elimination_cost(n_pool, FOLDS, workers) + ridges * ridge_cost(n_pool, chosen, workers)
    )
    if is_large(atoms):
        costs[FULL_MATRIX] = matrix_cost(atoms, chosen, workers) + ridge_cost(chosen, chosen, workers)
    if settings.engine == "nonlinear":
        iterations = int(settings.raw["fit"]["maxiter"])
        costs[NONLINEAR] = 5.0 + iterations * ITERATION * atoms * chosen / workers
        if settings.time_limit is not None:
            costs[NONLINEAR] = min(costs[NONLINEAR], settings.time_limit)
    # Once for the potential, and once without a fold, to calibrate the expected errors.
    costs[ACTIVE_SET] = 0.1 + 2 * ACTIVE * atoms * chosen
    costs[CURVES] = 0.1 + CURVE_POINTS * ridge_cost(n_pool, chosen, workers)
    costs[ERRORS] = 0.5 + EVALUATION * n_frames_atoms * chosen / workers
    return costs


def affordable_functions(
    settings: FitSettings,
    training: Sequence[Frame],
    n_frames_atoms: int,
    in_pool: int,
    most: int,
    workers: int,
    seconds: float,
) -> tuple[int, int]:
    """Return the numbers of functions per element in the pool and in the potential with which the fit is finished within a
    time.

    :param in_pool: largest number in the pool; `most` that in the potential.
    :param seconds: the time (s), of the steps after the trials, on the machine on which the constants were measured.
    """
    elements, pool = len(settings.elements), in_pool
    while pool > FEWEST:
        potential = max(FEWEST, most * pool // in_pool)
        costs = step_costs(settings, training, n_frames_atoms, elements * pool, elements * potential, workers)
        if sum(cost for step, cost in costs.items() if step != TRIALS) <= seconds:
            return pool, potential
        pool = int(pool * _FEWER)
    return min(FEWEST, in_pool), min(FEWEST, most)
