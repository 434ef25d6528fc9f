"""What a structure is worth beside those that are chosen: two measures, neither of which grows as more are chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from .features import View

NOISE = 10.0
"""Square of a length, in units of what an atom usually sees, of what is no news. Measured on copper: a tenth of it chooses what
is merely strange, and does worse."""


class Measure(Protocol):
    """What structures are worth, and what changes when one is chosen."""

    reason: str

    def worth(self, index: int) -> float:
        """Return what a structure is worth."""

    def take(self, index: int) -> None:
        """Count a structure as chosen."""


class Information:
    """The gain in the logarithm of the determinant of the information matrix: Bayesian D-optimality.

    The matrix is that of a linear fit of an energy for each atom, with coefficients that are held back as by a ridge: so it
    has a determinant however few structures there are. That of a structure is the mean over its atoms: measured on copper, the
    sum does no better, but chooses the largest, with twice the atoms. As no function belongs to atoms of two elements, the
    matrix has a block for each. MacKay, Neural Comput. 4, 590 (1992); for interatomic potentials Podryabinkin and Shapeev,
    Comput. Mater. Sci. 140, 171 (2017).
    """

    reason = "information"

    def __init__(self, candidates: Sequence[View], known: Sequence[View]) -> None:
        """Begin with the known structures."""
        self._candidates = candidates
        self._inverses = []
        for element, rows in enumerate(candidates[0].environments):
            matrix = NOISE * np.eye(rows.shape[1])
            for view in known:
                factor = _factor(view, element)
                matrix += factor.T @ factor
            self._inverses.append(np.linalg.inv(matrix))

    def worth(self, index: int) -> float:
        """Return the gain, in nats."""
        gain = 0.0
        for element, inverse in enumerate(self._inverses):
            factor = _factor(self._candidates[index], element)
            if len(factor):
                gain += float(np.linalg.slogdet(np.eye(len(factor)) + factor @ inverse @ factor.T)[1])
        return gain

    def take(self, index: int) -> None:
        """Update the inverses (Woodbury)."""
        for element, inverse in enumerate(self._inverses):
            factor = _factor(self._candidates[index], element)
            if len(factor):
                seen = factor @ inverse
                change = seen.T @ np.linalg.solve(np.eye(len(factor)) + seen @ factor.T, seen)
                self._inverses[element] = inverse - (change + change.T) / 2


def _factor(view: View, element: int) -> np.ndarray:
    """Return X (n, m), of which X^T X is the information of a structure."""
    return view.environments[element].astype(float) / view.size**0.5


class Distance:
    """Farthest-point sampling of atoms: the distance of what the atoms see to the nearest that one in a chosen structure sees.

    That of a structure is the largest of its atoms. What a free atom sees, nothing, counts as chosen.
    """

    reason = "distance"

    def __init__(self, candidates: Sequence[View], known: Sequence[View]) -> None:
        """Begin with the known structures."""
        self._candidates = candidates
        self._taken: list[tuple[np.ndarray, ...]] = [
            tuple(np.zeros((1, rows.shape[1])) for rows in candidates[0].environments)
        ]
        self._taken += [view.environments for view in known]
        self._nearest = [[np.full(len(rows), np.inf) for rows in view.environments] for view in candidates]
        self._seen = [0] * len(candidates)

    def worth(self, index: int) -> float:
        """Return the distance, in units of the functions."""
        for element, rows in enumerate(self._candidates[index].environments):
            news = [taken[element] for taken in self._taken[self._seen[index] :] if len(taken[element])]
            if news and len(rows):
                nearest = self._nearest[index][element]
                np.minimum(nearest, _squares(rows, np.concatenate(news)).min(axis=1), out=nearest)
        self._seen[index] = len(self._taken)
        return float(max(nearest.max() for nearest in self._nearest[index] if len(nearest)) ** 0.5)

    def take(self, index: int) -> None:
        """Remember its atoms."""
        self._taken.append(self._candidates[index].environments)


def _squares(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Return the squares of the distances between rows."""
    ours, theirs = ours.astype(float), theirs.astype(float)
    squares = (ours**2).sum(axis=1)[:, None] + (theirs**2).sum(axis=1) - 2.0 * ours @ theirs.T
    return np.asarray(np.maximum(squares, 0.0))


MEASURES: dict[str, Callable[[Sequence[View], Sequence[View]], Measure]] = {
    "d_optimal": Information,
    "farthest_point": Distance,
}
"""By the method that asks for them."""
