"""Calibration of the extrapolation grade: the force error at a grade, from new labels, and the next limit.

The limit is `select_grade`, from which an exploration saves structures. The expected errors of a prediction have another
calibration, in `mlip_train/expected_error.py`, on hold-out structures of the fit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

MIN_POINTS = 6
"""Minimum number of labels for a calibration."""

QUANTILE = 0.75
"""Quantile of the calibration: fraction of the structures whose error is below the estimate."""

MIN_ERROR = 1e-6
"""Errors (eV/Å) below this are ignored: they belong to forces that vanish by symmetry."""

MIN_LIMIT, MAX_LIMIT = 0.5, 5.0
"""Range of the limit. A potential interpolates up to a grade of 1 (Podryabinkin and Shapeev, Comput. Mater. Sci. 140, 171
(2017)), but with large errors if it has few basis functions; so the limit may be below 1."""


class Calibration:
    """A power law for the force error as a function of the extrapolation grade.

    The exponent is the median of the slopes between points (Theil, 1950; Sen, 1968), which is robust against outliers; the
    factor is chosen such that three quarters of the points lie below the curve. Both are None if there are too few points, or
    if the error does not grow with the grade.
    """

    def __init__(self, grades: Sequence[float], errors: Sequence[float]) -> None:
        """Fit the power law.

        :param grades: (s,) extrapolation grade of each structure.
        :param errors: (s,) root mean square error of its forces (eV/Å).
        """
        from scipy.stats import theilslopes

        points = np.array([grades, errors], dtype=float)
        x, y = np.log(points[:, (points > MIN_ERROR).all(axis=0)])
        self.exponent: float | None = None
        self.factor: float | None = None
        if len(x) >= MIN_POINTS and np.ptp(x) > 0:
            exponent = float(theilslopes(y, x).slope)
            if exponent > 0:
                self.exponent = exponent
                self.factor = float(np.exp(np.quantile(y - exponent * x, QUANTILE)))

    def error_at(self, grade: float) -> float | None:
        """Return the expected force error (eV/Å) at a grade; None without a fit."""
        if self.exponent is None or self.factor is None:
            return None
        return float(self.factor * grade**self.exponent)

    def grade_at(self, error: float) -> float | None:
        """Return the grade at which a force error (eV/Å) is expected; None without a fit."""
        if self.exponent is None or self.factor is None:
            return None
        return float((error / self.factor) ** (1.0 / self.exponent))


def next_limit(calibration: Calibration, tolerated: float, last: float) -> float:
    """Return the next limit of the extrapolation grade: the grade at which the tolerated force error is expected.

    The limit changes by at most a factor of two.

    :param tolerated: tolerated force error (eV/Å).
    :param last: the present limit, which is kept without a fit.
    """
    grade = calibration.grade_at(tolerated)
    if grade is None:
        return last
    return float(np.clip(np.clip(grade, last / 2, 2 * last), MIN_LIMIT, MAX_LIMIT))
