"""Least squares with a smoothness prior on the coefficients.

The prior is that of Witt et al., J. Chem. Phys. 159, 164101 (2023).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from .checkpoint import PARTS
from .design import Factors, stacked, triangle
from .repulsion import ShortDistanceRows

NEGLIGIBLE_LENGTH = 1e-11
"""Norm of a column, relative to the largest, up to which it counts as zero: rounding errors are about 1e-15."""

FLOOR = 1e-15
"""Smallest ridge strength: the precision of the normal matrix."""


@dataclass(frozen=True)
class Weights:
    """Weight of energies relative to forces, and of virials relative to energies."""

    energy: float
    virial: float


@dataclass(frozen=True)
class Problem:
    """The least-squares problem of m candidate functions, as factors of each fold, with the penalty (m,) of each function.

    :ivar origin: coefficients (m,) of the prior: the penalty is on the difference from them, for which the fit solves; by
        default zero.
    :ivar short_distances: rows that are added to each fit with `short_distance_weight`, but are not counted in errors.
    """

    factors: Sequence[Factors]
    penalty: np.ndarray
    force_weight: float
    origin: np.ndarray | None = None
    short_distances: ShortDistanceRows | None = None
    short_distance_weight: float = 0.0

    def folds_except(self, fold: int) -> list[int]:
        """Return all folds except one."""
        return [number for number in range(len(self.factors)) if number != fold]

    def normal_matrix(self, weights: Weights, folds: Iterable[int], functions: np.ndarray) -> np.ndarray:
        """Return the normal matrix [X | y]^T [X | y] of k functions and some folds, (k + 1, k + 1).

        From y, the prediction of the origin (X times `origin`) is subtracted.
        """
        return self.normal_matrices([weights], folds, functions)[0]

    def normal_matrices(
        self, weights: Sequence[Weights], folds: Iterable[int], functions: np.ndarray
    ) -> list[np.ndarray]:
        """Return :meth:`normal_matrix` for several weights, which takes little longer than for one."""
        folds = list(folds)
        rows = self._short_distance_rows(folds, functions)
        totals = [rows.T @ rows for _ in weights]
        for fold in folds:
            for name in PARTS:
                part = self._columns(getattr(self.factors[fold], name), functions)
                of_part = part.T @ part
                for total, each in zip(totals, weights, strict=True):
                    total += self._weight_of(name, each) ** 2 * of_part
        return totals

    def stack(self, weights: Weights, folds: Iterable[int], functions: np.ndarray) -> np.ndarray:
        """Return the triangular factor of [X | y] of k functions and some folds, (at most k + 1, k + 1).

        As in :meth:`normal_matrix`, the prediction of the origin is subtracted from y.
        """
        folds = list(folds)
        factor = self._short_distance_rows(folds, functions)
        for fold in folds:
            parts = [
                self._weight_of(name, weights) * self._columns(getattr(self.factors[fold], name), functions)
                for name in PARTS
            ]
            factor = triangle(stacked([factor, *parts]))
        return factor

    def total(self, functions: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
        """Return the coefficients of all functions (m,) for the solution of k functions."""
        total = np.zeros(len(self.penalty)) if self.origin is None else self.origin.copy()
        total[functions] += coefficients
        return total

    def errors(self, fold: int, functions: np.ndarray, coefficients: np.ndarray) -> tuple[float, float]:
        """Return the weighted RMSE of energies and forces of a fold, for the solution of k functions."""
        return self.factors[fold].errors(np.append(self.total(functions, coefficients), -1.0))

    def _short_distance_rows(self, folds: Sequence[int], functions: np.ndarray) -> np.ndarray:
        if self.short_distances is None or not folds or not self.short_distance_weight:
            return np.zeros((0, len(functions) + 1))
        return self.short_distance_weight * self._columns(self.short_distances.of(folds), functions)

    def _weight_of(self, part: str, weights: Weights) -> float:
        weight_of = {"energy": weights.energy, "forces": self.force_weight, "virial": weights.virial * weights.energy}
        return weight_of[part]

    def _columns(self, rows: np.ndarray, functions: np.ndarray) -> np.ndarray:
        """Return the columns of some functions, and the target minus the prediction of the origin."""
        columns = np.asarray(rows[:, np.append(functions, len(self.penalty))])
        if self.origin is not None:
            columns[:, -1] -= rows[:, :-1] @ self.origin
        return columns


class Ridge:
    """Regularised least squares: solutions for all ridge strengths from one decomposition.

    Columns are scaled to unit length and divided by the penalty, so that `ridge` has no unit.

    :param scale: factors of the columns (m,).
    :param values: squared singular values of the scaled columns, decreasing (k,).
    :param right: right singular vectors (k, m).
    :param projected: right singular vectors times X^T y of the scaled columns (k,).
    """

    def __init__(self, scale: np.ndarray, values: np.ndarray, right: np.ndarray, projected: np.ndarray) -> None:
        self._scale, self._values, self._right, self._projected = scale, values, right, projected

    @classmethod
    def of_rows(cls, rows: np.ndarray, penalty: np.ndarray) -> Ridge:
        """Decompose [X | y] by SVD, to full precision."""
        matrix, target = rows[:, :-1], rows[:, -1]
        scale = column_scale(np.linalg.norm(matrix, axis=0), penalty)
        left, values, right = np.linalg.svd(matrix * scale, full_matrices=False)
        return cls(scale, values**2, right, values * (left.T @ target))

    @classmethod
    def of_normal_matrix(cls, normal_matrix: np.ndarray, penalty: np.ndarray) -> Ridge:
        """Decompose [X | y]^T [X | y]: several times faster, and accurate for ridge strengths from 1e-15."""
        scale = column_scale(np.sqrt(np.diag(normal_matrix)[:-1]), penalty)
        values, vectors = np.linalg.eigh(normal_matrix[:-1, :-1] * np.outer(scale, scale))
        right = vectors.T[::-1]
        return cls(scale, np.maximum(values[::-1], 0.0), right, right @ (scale * normal_matrix[:-1, -1]))

    def root_of_inverse(self, ridge: float) -> np.ndarray:
        """Return a root R (m, k) of the inverse regularised normal matrix: R R^T is that inverse.

        Rows of functions with zero columns are zero.
        """
        return np.asarray(self._scale[:, None] * self._right.T / np.sqrt(self._regularised(ridge)))

    def solve(self, ridge: float) -> np.ndarray:
        """Return the coefficients (m,) for a ridge strength, relative to the largest squared singular value."""
        return self._scale * (self._right.T @ (self._projected / self._regularised(ridge)))

    def _regularised(self, ridge: float) -> np.ndarray:
        # All columns may be zero.
        return np.asarray(self._values + max(ridge, FLOOR) * max(float(self._values[0]), np.finfo(float).tiny))


def column_scale(lengths: np.ndarray, penalty: np.ndarray) -> np.ndarray:
    """Return the factors of the columns (m,): 0 for columns without information.

    Functions that vanish by symmetry in all structures have columns of rounding errors.
    """
    known = lengths > NEGLIGIBLE_LENGTH * lengths.max(initial=0.0)
    return np.asarray(1.0 / (np.where(known, lengths, np.inf) * penalty))
