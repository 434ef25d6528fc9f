"""Compositions spread evenly over all mixtures of the elements."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise, zip_longest

import numpy as np


def simplex_grid(n_elements: int, divisions: int) -> list[tuple[int, ...]]:
    """Return all (n_elements,) non-negative whole numbers that sum to `divisions`: the lattice of Scheffé (1958).

    J. R. Stat. Soc. B 20, 344. Divided by `divisions` they are compositions at equal distances.
    """
    bars = combinations(range(divisions + n_elements - 1), n_elements - 1)
    found = []
    for chosen in bars:
        edges = (-1, *chosen, divisions + n_elements - 1)
        found.append(tuple(after - before - 1 for before, after in pairwise(edges)))
    return found


def compositions(elements: Sequence[str]) -> Iterator[dict[str, float]]:
    """Yield the mixed compositions of a grid; equal parts of all elements are the first.

    Mixtures of all elements, of all but one, ... and of two come in turn, each kind in an order whose beginning is spread.
    """
    points = np.array(simplex_grid(len(elements), _divisions(len(elements)))).reshape(-1, len(elements))
    n_present = (points > 0).sum(axis=1)
    kinds = [points[n_present == number] for number in range(len(elements), 1, -1)]
    waiting = [map(kind.__getitem__, _spread(kind)) for kind in kinds]
    for in_turn in zip_longest(*waiting):
        for point in in_turn:
            if point is not None:
                shares = point / point.sum()
                yield {element: float(share) for element, share in zip(elements, shares, strict=True) if share}


def _divisions(n_elements: int) -> int:
    """Return the number of steps of the grid; a multiple of that of the elements; coarser with many."""
    if n_elements == 2:
        return 4
    return 2 * n_elements if n_elements <= 5 else n_elements


def _spread(points: np.ndarray) -> Iterator[int]:
    """Yield the indices of points (n, d): the most even one, then always the one farthest from all before (Gonzalez, 1985)."""
    if not len(points):
        return
    index = int(np.argmin(points.std(axis=1)))
    nearest = np.full(len(points), np.inf)
    for _ in range(len(points)):
        yield index
        nearest = np.minimum(nearest, np.square(points - points[index]).sum(axis=1))
        nearest[index] = -1.0
        index = int(np.argmax(nearest))
