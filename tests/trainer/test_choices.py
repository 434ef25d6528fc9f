"""Choices by cross-validation, on problems whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from acefit.choices import (
    ENOUGH_STRUCTURES,
    FEW_FUNCTIONS,
    Selection,
    best_ridge,
    choose,
    select_and_choose,
    select_functions,
    try_candidates,
    usual_weights,
)
from acefit.design import Factors
from acefit.problem import Problem, Ridge
from acefit.settings import Settings


def problem_of(matrix: np.ndarray, target: np.ndarray, folds: int = 5) -> Problem:
    """Return a problem of some folds whose rows are those of energies and of forces alike."""
    rows = np.column_stack([matrix, target])
    factors = [
        Factors(part, part, rows[:0], n_energies=len(part), n_forces=len(part)) for part in np.array_split(rows, folds)
    ]
    return Problem(factors, np.ones(matrix.shape[1]), 1.0)


def test_both_decompositions_give_the_same_coefficients() -> None:
    generator = np.random.default_rng(8)
    rows = generator.normal(size=(50, 13)) * np.geomspace(1, 1e-3, 13)
    penalty = generator.uniform(1, 10, 12)
    of_rows, of_products = Ridge.of_rows(rows, penalty), Ridge.of_products(rows.T @ rows, penalty)
    normal = rows[:, :-1].T @ rows[:, :-1]
    for ridge in (1e-12, 1e-4, 1e-1):
        coefficients = of_rows.solve(ridge)
        assert of_products.solve(ridge) == pytest.approx(coefficients, rel=1e-6)
        # The gradient of the loss is that of the penalty: one number for all, in the scaled columns.
        residual = rows[:, :-1].T @ rows[:, -1] - normal @ coefficients
        strength = residual / (coefficients * penalty**2 * np.diag(normal))
        assert strength == pytest.approx(np.full(12, strength.max()), rel=1e-3, abs=1e-12)


def test_the_root_of_the_inverse() -> None:
    generator = np.random.default_rng(12)
    rows, penalty = generator.normal(size=(50, 13)) * np.geomspace(1, 1e-3, 13), generator.uniform(1, 10, 12)
    rows[:, 4] = 0.0
    told = np.delete(np.arange(12), 4)
    normal, ridge = rows[:, :-1].T @ rows[:, :-1], 1e-4
    scale = 1.0 / (penalty * np.sqrt(np.diag(normal)))[told]
    largest = np.linalg.eigvalsh(normal[np.ix_(told, told)] * np.outer(scale, scale))[-1]
    expected = np.linalg.inv(normal[np.ix_(told, told)] + ridge * largest * np.diag(scale**-2))
    root = Ridge.of_products(rows.T @ rows, penalty).root_of_inverse(ridge)
    assert np.array_equal(root[4], np.zeros(12)), "nothing is known of it"
    assert (root @ root.T)[np.ix_(told, told)] == pytest.approx(expected, rel=1e-8)


def test_the_functions_that_matter_are_kept() -> None:
    generator = np.random.default_rng(9)
    matrix = generator.normal(size=(400, 60))
    wanted = [5, 17, 30, 41, 58]
    target = matrix[:, wanted] @ [1.0, -2.0, 0.5, 3.0, 1.5] + 0.3 * generator.normal(size=400)
    problem, settings = problem_of(matrix, target), Settings({})
    selection = select_functions(settings, problem, usual_weights(settings), 8, 1)
    assert set(wanted) <= set(selection.functions.tolist())
    assert all(set(wanted) <= set(functions.tolist()) for functions in selection.of_folds)
    choice = choose(settings, problem, selection, 1)
    assert choice.energy_error == pytest.approx(0.3, rel=0.3)


def test_chance_is_not_taken_for_knowledge() -> None:
    """Of many functions some fit any labels: judged on the labels they were chosen by, they would seem to know something."""
    generator = np.random.default_rng(10)
    matrix, target = generator.normal(size=(200, 120)), generator.normal(size=200)
    problem, settings = problem_of(matrix, target), Settings({})
    usual = usual_weights(settings)
    selection = select_functions(settings, problem, usual, 20, 1)
    leaked = Selection(selection.functions, [selection.functions] * len(selection.of_folds))
    honest, too_good = (best_ridge(problem, one, usual, (1e-8,), 1) for one in (selection, leaked))
    spread = float(np.sqrt((target**2).mean()))
    assert too_good.force_error < 0.95 * spread
    assert honest.force_error > spread


def test_a_small_problem_is_not_left_in_the_first_hollow() -> None:
    """Errors that rise before they fall further do not end the search where all candidates can be tried."""
    enough = ENOUGH_STRUCTURES
    few, *others = (
        problem_of(np.zeros((structures, functions)), np.zeros(structures))
        for structures, functions in ((enough, 3), (enough, FEW_FUNCTIONS + 1), (enough - 1, 3))
    )
    errors = dict(enumerate([1.0, 5.0, 4.0, 3.0, 3.5, 2.0]))
    assert try_candidates(list(errors), 3, errors.__getitem__, few) == errors
    for other in others:
        assert try_candidates(list(errors), 3, errors.__getitem__, other) == {3: 3.0, 4: 3.5, 2: 4.0}
        assert try_candidates(list(errors), 4, errors.__getitem__, other) == {4: 3.5, 5: 2.0}


def test_functions_are_chosen_again_with_the_weights_that_are_found() -> None:
    generator = np.random.default_rng(11)
    matrix = generator.normal(size=(300, 40))
    settings = Settings({})
    problem = problem_of(matrix, matrix[:, :6] @ np.arange(1.0, 7.0) + generator.normal(size=300))
    once = select_functions(settings, problem, usual_weights(settings), 12, 1)
    again, choice = select_and_choose(settings, problem, 12, 1)
    assert choice.error <= choose(settings, problem, once, 1).error
    assert set(range(6)) <= set(again.functions.tolist())
