"""The steps of a fit and their estimated costs: scaling laws with constants measured on one core of a typical machine."""

from __future__ import annotations

from collections.abc import Collection, Sequence

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

ELIMINATION, DECOMPOSITION, NORMAL_MATRIX = 4e-10, 4e-10, 3e-10
"""Seconds per cubed number of functions, in one fold."""

EXPECTED_TRIALS, TRIAL_FUNCTIONS, TRIAL_ATOMS, LABELS_PER_FUNCTION = 5, 250, 3000, 12
"""Typical number of trials of cutoffs; number of functions of an element in the trial of the initial cutoff; largest number of
atoms in a trial; least number of force components for each function of a trial."""

CURVE_POINTS = 5
"""Points of the learning curves, without that of the fit itself."""

FEW_FUNCTIONS = 600
"""Number of candidate functions up to which all candidate hyperparameters are usually tried."""

SEARCH_FOLDS = 2
"""Number of folds, with more candidate functions, in the search of the ridge strength of the elimination and in the learning
curves: to save time."""

FEWEST = 5
"""Smallest number of functions of an element."""

AUTO_SECONDS, AUTO_WORKERS = 480.0, 2
"""Longest estimated time (s) of a fit to a large dataset with an `auto` number of functions, without the trials, and its number
of processes. It does not depend on the machine, so that the potential does not either."""

_FEWER = 0.95


def matrix_cost(n_atoms: int, n_functions: int, workers: int) -> float:
    """Return the cost (s) of a design matrix."""
    return n_atoms * n_functions * (ROWS + REDUCTION * n_functions) / workers


def trial_cost(subset: Sequence[Frame], n_functions: int, workers: int) -> float:
    """Return the cost (s) of the trial of one cutoff."""
    return matrix_cost(sum(len(frame.atoms) for frame in subset), n_functions, workers)


def elimination_cost(n_functions: int, n_folds: int, workers: int) -> float:
    """Return the cost (s) of one backward elimination, in some folds."""
    return 1e-3 + n_folds * ELIMINATION * n_functions**3 / min(workers, n_folds)


def ridge_cost(n_candidates: int, n_chosen: int, workers: int, n_folds: int = FOLDS) -> float:
    """Return the cost (s) of all ridge strengths for one pair of weights, in some folds."""
    each = NORMAL_MATRIX * n_candidates * n_chosen**2 + DECOMPOSITION * n_chosen**3
    return 1e-3 + n_folds * each / min(workers, n_folds)


def step_costs(
    settings: FitSettings, training: Sequence[Frame], n_frames_atoms: int, n_candidates: int, most: int, workers: int
) -> dict[str, float]:
    """Return the costs (s) of the steps of a fit, in order.

    :param n_frames_atoms: number of atoms in all structures, train and test.
    :param n_candidates: number of candidate functions, all elements.
    :param most: largest number of functions in the potential, all elements.
    """
    atoms = sum(len(frame.atoms) for frame in training if frame.is_first)
    chosen = min(most, n_candidates)
    exhaustive = n_candidates <= FEW_FUNCTIONS
    eliminations = 0 if chosen == n_candidates and settings.n_functions != "auto" else (10 if exhaustive else 2.5)
    ridges = 12 if exhaustive else 5
    costs = {}
    if settings.cutoff == "auto":
        tried = min(TRIAL_ATOMS, atoms)
        functions = min(TRIAL_FUNCTIONS * len(settings.elements), 3 * tried // LABELS_PER_FUNCTION)
        costs[TRIALS] = 0.1 + EXPECTED_TRIALS * matrix_cost(tried, functions, workers)
    costs[MATRIX] = 0.1 + matrix_cost(SAMPLE_ATOMS if is_large(atoms) else atoms, n_candidates, workers)
    costs[CHOICE] = (
        0.1
        + eliminations * elimination_cost(n_candidates, FOLDS, workers)
        + ridges * ridge_cost(n_candidates, chosen, workers)
    )
    if is_large(atoms):
        costs[FULL_MATRIX] = matrix_cost(atoms, chosen, workers) + ridge_cost(chosen, chosen, workers)
    if settings.engine == "nonlinear":
        iterations = int(settings.raw["fit"]["maxiter"])
        costs[NONLINEAR] = 5.0 + iterations * ITERATION * atoms * chosen / workers
        if settings.time_limit is not None:
            costs[NONLINEAR] = min(costs[NONLINEAR], settings.time_limit)
    # Once for the potential, and once without a fold, to calibrate the expected errors.
    costs[ACTIVE_SET] = 0.1 + 2 * ACTIVE * atoms * chosen / min(2, workers)
    folds = FOLDS if exhaustive else SEARCH_FOLDS
    costs[CURVES] = 0.1 + CURVE_POINTS * ridge_cost(n_candidates, chosen, workers, folds)
    costs[ERRORS] = 0.5 + EVALUATION * n_frames_atoms * chosen / workers
    return costs


def affordable_functions(
    settings: FitSettings,
    training: Sequence[Frame],
    n_frames_atoms: int,
    candidates: int,
    most: int,
    workers: int,
    seconds: float,
    not_counted: Collection[str] = (TRIALS,),
) -> tuple[int, int]:
    """Return the numbers of candidate functions and of functions in the potential, per element, for a fit within a time.

    :param candidates: largest number of candidates; `most` that in the potential.
    :param seconds: the time (s) on the machine on which the constants were measured.
    :param not_counted: steps whose costs are not counted; by default the trials, which come before the choice of functions.
    """
    elements, fewer = len(settings.elements), candidates
    while fewer > FEWEST:
        potential = max(FEWEST, most * fewer // candidates)
        costs = step_costs(settings, training, n_frames_atoms, elements * fewer, elements * potential, workers)
        if sum(cost for step, cost in costs.items() if step not in not_counted) <= seconds:
            return fewer, potential
        fewer = int(fewer * _FEWER)
    return min(FEWEST, candidates), min(FEWEST, most)
