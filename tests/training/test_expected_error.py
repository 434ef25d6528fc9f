"""Expected errors from extrapolation grades."""

from __future__ import annotations

import numpy as np
import pytest
from mlip_train.expected_error import Calibration, calibrate, coverage


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0, 2.0])
def test_a_calibration_finds_a_power_of_the_grade(exponent: float) -> None:
    generator = np.random.default_rng(3)
    grades = generator.uniform(0.1, 3.0, 4000)
    errors = np.abs(generator.normal(scale=0.02 * grades**exponent))
    found = calibrate(errors, grades)
    assert found.exponent == exponent
    assert found.scale == pytest.approx(0.02, rel=0.1)
    assert coverage(errors, found.expected(grades)) == {
        "within_1": pytest.approx(0.68, abs=0.02),
        "within_2": pytest.approx(0.95, abs=0.02),
    }


def test_expected_error_at_small_grades_does_not_vanish() -> None:
    expected = Calibration(0.1, 1.0).expected(np.array([0.0, 1e-9]))
    assert (expected > 1e-3).all()
