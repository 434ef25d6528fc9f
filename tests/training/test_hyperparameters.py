"""Cross-validation on problems with a known answer."""

from __future__ import annotations

import numpy as np
import pytest
from mlip_train.design import Factors
from mlip_train.hyperparameters import (
    FEW_FUNCTIONS,
    MANY_STRUCTURES,
    FunctionSelection,
    best_ridge,
    initial_weights,
    optimise_hyperparameters,
    optimise_selection,
    search_candidates,
    select_functions,
)
from mlip_train.problem import Problem, Ridge
from mlip_train.settings import FitSettings


def problem_of(matrix: np.ndarray, target: np.ndarray, folds: int = 5) -> Problem:
    """Return a problem of some folds, with the same rows for energies and forces."""
    rows = np.column_stack([matrix, target])
    factors = [
        Factors(part, part, rows[:0], n_energies=len(part), n_forces=len(part)) for part in np.array_split(rows, folds)
    ]
    return Problem(factors, np.ones(matrix.shape[1]), 1.0)


def test_both_decompositions_give_the_same_coefficients() -> None:
    generator = np.random.default_rng(8)
    rows = generator.normal(size=(50, 13)) * np.geomspace(1, 1e-3, 13)
    penalty = generator.uniform(1, 10, 12)
    of_rows, of_normal_matrix = Ridge.of_rows(rows, penalty), Ridge.of_normal_matrix(rows.T @ rows, penalty)
    normal = rows[:, :-1].T @ rows[:, :-1]
    for ridge in (1e-12, 1e-4, 1e-1):
        coefficients = of_rows.solve(ridge)
        assert of_normal_matrix.solve(ridge) == pytest.approx(coefficients, rel=1e-6)
        # The gradients of loss and penalty are equal: one ridge strength for all scaled columns.
        residual = rows[:, :-1].T @ rows[:, -1] - normal @ coefficients
        strength = residual / (coefficients * penalty**2 * np.diag(normal))
        assert strength == pytest.approx(np.full(12, strength.max()), rel=1e-3, abs=1e-12)


def test_root_of_the_inverse_normal_matrix() -> None:
    generator = np.random.default_rng(12)
    rows, penalty = generator.normal(size=(50, 13)) * np.geomspace(1, 1e-3, 13), generator.uniform(1, 10, 12)
    rows[:, 4] = 0.0
    determined = np.delete(np.arange(12), 4)
    normal, ridge = rows[:, :-1].T @ rows[:, :-1], 1e-4
    scale = 1.0 / (penalty * np.sqrt(np.diag(normal)))[determined]
    largest = np.linalg.eigvalsh(normal[np.ix_(determined, determined)] * np.outer(scale, scale))[-1]
    expected = np.linalg.inv(normal[np.ix_(determined, determined)] + ridge * largest * np.diag(scale**-2))
    root = Ridge.of_normal_matrix(rows.T @ rows, penalty).root_of_inverse(ridge)
    assert np.array_equal(root[4], np.zeros(12)), "a zero column has no information"
    assert (root @ root.T)[np.ix_(determined, determined)] == pytest.approx(expected, rel=1e-8)


def test_selection_keeps_the_relevant_functions() -> None:
    generator = np.random.default_rng(9)
    matrix = generator.normal(size=(400, 60))
    wanted = [5, 17, 30, 41, 58]
    target = matrix[:, wanted] @ [1.0, -2.0, 0.5, 3.0, 1.5] + 0.3 * generator.normal(size=400)
    problem, settings = problem_of(matrix, target), FitSettings({})
    selection = select_functions(settings, problem, initial_weights(settings), 8, 1)
    assert set(wanted) <= set(selection.functions.tolist())
    assert all(set(wanted) <= set(functions.tolist()) for functions in selection.by_fold)
    choice = optimise_hyperparameters(settings, problem, selection, 1)
    assert choice.energy_error == pytest.approx(0.3, rel=0.3)


def test_validation_errors_do_not_overfit() -> None:
    """Some of many functions fit random labels: if they were validated on the labels with which they were selected, the
    validation error would be too small."""
    generator = np.random.default_rng(10)
    matrix, target = generator.normal(size=(200, 120)), generator.normal(size=200)
    problem, settings = problem_of(matrix, target), FitSettings({})
    initial = initial_weights(settings)
    selection = select_functions(settings, problem, initial, 20, 1)
    biased = FunctionSelection(selection.functions, [selection.functions] * len(selection.by_fold))
    honest, too_good = (best_ridge(problem, selected, initial, (1e-8,), 1) for selected in (selection, biased))
    spread = float(np.sqrt((target**2).mean()))
    assert too_good.force_error < 0.95 * spread
    assert honest.force_error > spread


def test_a_small_problem_is_searched_exhaustively() -> None:
    """A local minimum of the error does not end the search if all candidates can be tried."""
    enough = MANY_STRUCTURES
    few, *others = (
        problem_of(np.zeros((structures, functions)), np.zeros(structures))
        for structures, functions in ((enough, 3), (enough, FEW_FUNCTIONS + 1), (enough - 1, 3))
    )
    errors = dict(enumerate([1.0, 5.0, 4.0, 3.0, 3.5, 2.0]))
    assert search_candidates(list(errors), 3, errors.__getitem__, few) == errors
    for other in others:
        assert search_candidates(list(errors), 3, errors.__getitem__, other) == {3: 3.0, 4: 3.5, 2: 4.0}
        assert search_candidates(list(errors), 4, errors.__getitem__, other) == {4: 3.5, 5: 2.0}


def test_functions_are_selected_again_with_the_optimised_weights() -> None:
    generator = np.random.default_rng(11)
    matrix = generator.normal(size=(300, 40))
    settings = FitSettings({})
    problem = problem_of(matrix, matrix[:, :6] @ np.arange(1.0, 7.0) + generator.normal(size=300))
    once = select_functions(settings, problem, initial_weights(settings), 12, 1)
    again, choice = optimise_selection(settings, problem, 12, 1)
    assert choice.error <= optimise_hyperparameters(settings, problem, once, 1).error
    assert set(range(6)) <= set(again.functions.tolist())
