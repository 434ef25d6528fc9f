"""What extrapolation grade means what error: learned from the labels that came back, used for the next limit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import theilslopes

FEWEST_POINTS = 6
"""Labels below which nothing can be said."""

CAUTION = 0.75
"""Part of the structures at a grade whose error should be below the estimate."""

SMALLEST_ERROR = 1e-6
"""Errors (eV/Å) below this are of forces that vanish by symmetry, and say nothing."""

LOWEST_LIMIT, HIGHEST_LIMIT = 0.5, 5.0
"""Grades between which the limit stays. At 1 and below, a potential interpolates (Podryabinkin and Shapeev, Comput. Mater. Sci.
140, 171 (2017)): but one of few functions does so badly."""


class Calibration:
    """A power law from grade to force error through some points.

    The exponent is the median of the slopes between points (Theil, 1950; Sen, 1968), so that a few odd structures do not decide
    it; the factor is chosen so that three quarters of the points lie below.
    """

    def __init__(self, grades: Sequence[float], errors: Sequence[float]) -> None:
        """Fit the law.

        :param grades: largest extrapolation grade of each structure.
        :param errors: root mean square error of its forces (eV/Å).
        """
        given = np.array([grades, errors], dtype=float)
        x, y = np.log(given[:, (given > SMALLEST_ERROR).all(axis=0)])
        self.exponent: float | None = None
        self.factor: float | None = None
        if len(x) >= FEWEST_POINTS and np.ptp(x) > 0:
            exponent = float(theilslopes(y, x).slope)
            if exponent > 0:
                self.exponent = exponent
                self.factor = float(np.exp(np.quantile(y - exponent * x, CAUTION)))

    def error_at(self, grade: float) -> float | None:
        """Return the force error (eV/Å) to expect at a grade; None if there is no law."""
        if self.exponent is None or self.factor is None:
            return None
        return float(self.factor * grade**self.exponent)

    def grade_of(self, error: float) -> float | None:
        """Return the grade at which a force error (eV/Å) is to be expected; None if there is no law."""
        if self.exponent is None or self.factor is None:
            return None
        return float((error / self.factor) ** (1.0 / self.exponent))


def next_limit(calibration: Calibration, tolerated: float, last: float) -> float:
    """Return the grade beyond which structures are to be labelled: where the error is expected to exceed what is tolerated.

    It moves by at most a factor of two at a time.

    :param tolerated: force error, eV/Å.
    :param last: the limit so far, kept if nothing can be said.
    """
    grade = calibration.grade_of(tolerated)
    if grade is None:
        return last
    return float(np.clip(np.clip(grade, last / 2, 2 * last), LOWEST_LIMIT, HIGHEST_LIMIT))
