"""Least squares with a smoothness prior on the coefficients.

Witt et al., J. Chem. Phys. 159, 164101 (2023), for the prior.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from .design import Factors, stacked, triangle


@dataclass(frozen=True)
class Weights:
    """Weights of energies against forces, and of derivatives by strain against energies."""

    energy: float
    virial: float


@dataclass(frozen=True)
class Problem:
    """Least squares with a prior on all functions of a pool (m,), in factors, one for each fold."""

    factors: Sequence[Factors]
    penalty: np.ndarray
    force_weight: float

    def others(self, fold: int) -> list[int]:
        """Return all folds but one."""
        return [number for number in range(len(self.factors)) if number != fold]

    def products(self, weights: Weights, folds: Iterable[int], functions: np.ndarray) -> np.ndarray:
        """Return the products of the columns of k functions and of the labels, (k + 1, k + 1), of some folds."""
        total = np.zeros((len(functions) + 1,) * 2)
        for fold in folds:
            for weight, part in self._weighted(fold, weights, functions):
                products = part.T @ part
                products *= weight**2
                total += products
        return total

    def stack(self, weights: Weights, folds: Iterable[int], functions: np.ndarray) -> np.ndarray:
        """Return one factor of some folds, with the columns of some functions and of the labels."""
        factor = np.zeros((0, len(functions) + 1))
        for fold in folds:
            parts = [weight * part for weight, part in self._weighted(fold, weights, functions)]
            factor = triangle(stacked([factor, *parts]))
        return factor

    def errors(self, fold: int, functions: np.ndarray, coefficients: np.ndarray) -> tuple[float, float]:
        """Return the root mean square errors, weighted, of energies and forces of a fold."""
        solution = np.zeros(len(self.penalty) + 1)
        solution[functions], solution[-1] = coefficients, -1.0
        return self.factors[fold].errors(solution)

    def _weighted(self, fold: int, weights: Weights, functions: np.ndarray) -> Iterator[tuple[float, np.ndarray]]:
        columns = np.append(functions, len(self.penalty))
        weight_of = {
            "energy": weights.energy,
            "forces": self.force_weight,
            "virial": weights.virial * weights.energy,
        }
        for part, weight in weight_of.items():
            # Factors in files take memory as long as they are held.
            yield weight, np.asarray(getattr(self.factors[fold], part)[:, columns])


class Ridge:
    """Least squares with a prior: all ridge strengths from one decomposition.

    Columns are scaled to unit length and then by the inverse of the penalty, so that `ridge` has no unit.

    :param scale: by which the columns are multiplied (m,).
    :param values: squares of the singular values of the scaled columns, falling (k,).
    :param right: their right singular vectors (k, m).
    :param projected: these times the products of the scaled columns and the labels (k,).
    """

    def __init__(self, scale: np.ndarray, values: np.ndarray, right: np.ndarray, projected: np.ndarray) -> None:
        self._scale, self._values, self._right, self._projected = scale, values, right, projected

    @classmethod
    def of_rows(cls, rows: np.ndarray, penalty: np.ndarray) -> Ridge:
        """Decompose [X | y], to full precision."""
        matrix, target = rows[:, :-1], rows[:, -1]
        scale = column_scale(np.linalg.norm(matrix, axis=0), penalty)
        left, values, right = np.linalg.svd(matrix * scale, full_matrices=False)
        return cls(scale, values**2, right, values * (left.T @ target))

    @classmethod
    def of_products(cls, products: np.ndarray, penalty: np.ndarray) -> Ridge:
        """Decompose the products of [X | y]: several times as fast, and good for ridge strengths from 1e-15."""
        scale = column_scale(np.sqrt(np.diag(products)[:-1]), penalty)
        values, vectors = np.linalg.eigh(products[:-1, :-1] * np.outer(scale, scale))
        right = vectors.T[::-1]
        return cls(scale, np.maximum(values[::-1], 0.0), right, right @ (scale * products[:-1, -1]))

    def root_of_inverse(self, ridge: float) -> np.ndarray:
        """Return a matrix (m, k): times its transpose, it is the inverse of the columns' products with the prior.

        Rows of functions whose columns are zero are zero.
        """
        return np.asarray(self._scale[:, None] * self._right.T / np.sqrt(self._values + ridge * self._values[0]))

    def solve(self, ridge: float) -> np.ndarray:
        """Return the coefficients for a ridge strength, relative to the square of the largest singular value."""
        return self._scale * (self._right.T @ (self._projected / (self._values + ridge * self._values[0])))


def column_scale(lengths: np.ndarray, penalty: np.ndarray) -> np.ndarray:
    """Return by what the columns of functions are multiplied: those that are zero stay out."""
    return np.asarray(1.0 / (np.where(lengths > 0, lengths, np.inf) * penalty))
