"""Two selection scores of a structure, given the structures selected so far. Neither grows as more structures are selected."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from .descriptors import Descriptors

NOISE = 10.0
"""Noise variance of the linear model, in units of the mean square length of the descriptors of an atom.

Tests on copper: a tenth of this selects outliers, and the potential gets worse.
"""


class Score(Protocol):
    """A selection score, updated with each selected structure."""

    reason: str

    def score(self, index: int) -> float:
        """Return the selection score of a structure."""

    def add(self, index: int) -> None:
        """Add a structure to the selected ones."""


class InformationGain:
    """The gain in the logarithm of the determinant of the information matrix: Bayesian D-optimality.

    The matrix is that of a linear fit of atomic energies with a ridge penalty, so that it is invertible for any number of
    structures. The information of a structure is the mean over its atoms: in tests on copper the sum gives no better
    potential but selects larger structures, with twice as many atoms. Each element has its own functions, hence its own
    matrix. MacKay, Neural Comput. 4, 590 (1992); for interatomic potentials Podryabinkin and Shapeev, Comput. Mater. Sci.
    140, 171 (2017).
    """

    reason = "information"

    def __init__(self, candidates: Sequence[Descriptors], known: Sequence[Descriptors]) -> None:
        """Start with the known structures as selected."""
        self._candidates = candidates
        self._inverses = []
        for element, rows in enumerate(candidates[0].environments):
            matrix = NOISE * np.eye(rows.shape[1])
            for descriptor in known:
                factor = _factor(descriptor, element)
                matrix += factor.T @ factor
            self._inverses.append(np.linalg.inv(matrix))

    def score(self, index: int) -> float:
        """Return the gain in the logarithm of the determinant."""
        gain = 0.0
        for element, inverse in enumerate(self._inverses):
            factor = _factor(self._candidates[index], element)
            if len(factor):
                gain += float(np.linalg.slogdet(np.eye(len(factor)) + factor @ inverse @ factor.T)[1])
        return gain

    def add(self, index: int) -> None:
        """Update the inverse information matrices (Woodbury identity)."""
        for element, inverse in enumerate(self._inverses):
            factor = _factor(self._candidates[index], element)
            if len(factor):
                projected = factor @ inverse
                change = projected.T @ np.linalg.solve(np.eye(len(factor)) + projected @ factor.T, projected)
                self._inverses[element] = inverse - (change + change.T) / 2


def _factor(descriptor: Descriptors, element: int) -> np.ndarray:
    """Return X (n, m), so that X^T X is the information matrix of a structure."""
    return descriptor.environments[element].astype(float) / descriptor.size**0.5


class FarthestPoint:
    """Farthest-point sampling: the largest distance of an atom's descriptors to the nearest ones in the selected structures.

    The zero descriptors of a free atom count as selected.
    """

    reason = "distance"

    def __init__(self, candidates: Sequence[Descriptors], known: Sequence[Descriptors]) -> None:
        """Start with the known structures as selected."""
        self._candidates = candidates
        self._selected: list[tuple[np.ndarray, ...]] = [
            tuple(np.zeros((1, rows.shape[1])) for rows in candidates[0].environments)
        ]
        self._selected += [descriptor.environments for descriptor in known]
        self._nearest = [[np.full(len(rows), np.inf) for rows in descriptor.environments] for descriptor in candidates]
        self._n_compared = [0] * len(candidates)

    def score(self, index: int) -> float:
        """Return the distance, in scaled descriptors."""
        for element, rows in enumerate(self._candidates[index].environments):
            new = [
                selected[element] for selected in self._selected[self._n_compared[index] :] if len(selected[element])
            ]
            if new and len(rows):
                nearest = self._nearest[index][element]
                np.minimum(nearest, _squared_distances(rows, np.concatenate(new)).min(axis=1), out=nearest)
        self._n_compared[index] = len(self._selected)
        return float(max(nearest.max() for nearest in self._nearest[index] if len(nearest)) ** 0.5)

    def add(self, index: int) -> None:
        """Add the descriptors of a structure to the selected ones."""
        self._selected.append(self._candidates[index].environments)


def _squared_distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the squared distances (n, k) between rows (n, m) and (k, m)."""
    first, second = first.astype(float), second.astype(float)
    squares = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1) - 2.0 * first @ second.T
    return np.asarray(np.maximum(squares, 0.0))


SCORES: dict[str, Callable[[Sequence[Descriptors], Sequence[Descriptors]], Score]] = {
    "d_optimal": InformationGain,
    "farthest_point": FarthestPoint,
}
"""Scores by the name of the selection method."""
