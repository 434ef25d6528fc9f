"""The force error as a function of the extrapolation grade, and the next limit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiida_mlip_autopipec.learning.calibration import (
    MAX_LIMIT,
    MIN_LIMIT,
    MIN_POINTS,
    QUANTILE,
    Calibration,
    next_limit,
)


@given(
    factor=st.floats(1e-3, 1.0),
    exponent=st.floats(0.2, 3.0),
    grades=st.lists(st.floats(1.0, 100.0), min_size=MIN_POINTS, max_size=40, unique=True),
)
def test_calibration_finds_a_power_law(factor: float, exponent: float, grades: list[float]) -> None:
    if max(grades) / min(grades) < 1.01:
        return
    law = Calibration(grades, [factor * grade**exponent for grade in grades])
    assert law.exponent == pytest.approx(exponent, rel=1e-3)
    assert law.error_at(5.0) == pytest.approx(factor * 5.0**exponent, rel=1e-2)
    error = law.error_at(7.0)
    assert error is not None
    assert law.grade_at(error) == pytest.approx(7.0, rel=1e-6)


def test_calibration_is_robust_against_outliers() -> None:
    random = np.random.default_rng(0)
    grades = np.geomspace(1.5, 30, 40)
    errors = 0.05 * grades * np.exp(random.normal(0, 0.2, 40))
    odd = errors.copy()
    odd[:3] = 30.0
    law, disturbed = Calibration(grades, errors), Calibration(grades, odd)
    assert law.exponent == pytest.approx(1.0, abs=0.15)
    assert disturbed.exponent == pytest.approx(1.0, abs=0.35)


def test_three_quarters_of_the_errors_are_below_the_curve() -> None:
    random = np.random.default_rng(1)
    grades = np.geomspace(1.5, 30, 200)
    errors = 0.05 * grades * np.exp(random.normal(0, 0.5, 200))
    law = Calibration(grades, errors)
    expected = np.array([law.error_at(grade) for grade in grades])
    assert np.mean(errors <= expected) == pytest.approx(QUANTILE, abs=0.01)


@pytest.mark.parametrize(
    ("grades", "errors"),
    [
        ([], []),
        ([2.0, 3.0], [0.1, 0.2]),
        ([3.0] * 10, np.linspace(0.1, 1.0, 10)),
        (np.geomspace(1, 10, 10), np.geomspace(1.0, 0.1, 10)),
    ],
    ids=["none", "too few", "one grade", "errors that fall"],
)
def test_limit_is_unchanged_without_calibration(grades: list[float], errors: list[float]) -> None:
    law = Calibration(grades, errors)
    assert law.grade_at(0.1) is None
    assert next_limit(law, 0.1, 3.7) == 3.7


def test_forces_that_vanish_by_symmetry_are_ignored() -> None:
    grades = np.geomspace(1.5, 30, 12)
    law = Calibration(grades, 0.05 * grades)
    symmetric = Calibration([*grades, 20.0, 3.0], [*(0.05 * grades), 1e-15, 0.0])
    assert (symmetric.exponent, symmetric.factor) == (law.exponent, law.factor)


@given(tolerated=st.floats(1e-4, 1e2), last=st.floats(MIN_LIMIT, MAX_LIMIT))
def test_limit_changes_by_at_most_a_factor_of_two(tolerated: float, last: float) -> None:
    grades = np.geomspace(1.2, 40, 20)
    limit = next_limit(Calibration(grades, 0.03 * grades), tolerated, last)
    assert MIN_LIMIT <= limit <= MAX_LIMIT
    assert last / 2 - 1e-9 <= limit <= 2 * last + 1e-9


def test_a_larger_tolerance_gives_no_smaller_limit() -> None:
    grades = np.geomspace(1.2, 40, 20)
    law = Calibration(grades, 0.03 * grades)
    limits = [next_limit(law, tolerated, 5.0) for tolerated in np.geomspace(0.01, 3, 20)]
    assert limits == sorted(limits)
    assert next_limit(law, 0.15, 5.0) == pytest.approx(5.0)
