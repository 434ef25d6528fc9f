"""Compositions spread evenly over all mixtures of the elements."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, islice, pairwise

import numpy as np

DIVISIONS = 4
"""Steps of the grid of compositions: a cell of 16 atoms has each of its compositions exactly."""


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


def compositions(elements: Sequence[str]) -> list[dict[str, float]]:
    """Return mixed compositions that are spread over the simplex and give few formulas in cells of 16 atoms.

    Equal parts of all elements are the first; then come all mixtures of two elements in quarters, and with more elements twice
    as many mixtures in quarters of three and four elements as there are elements.
    """
    n_elements = len(elements)
    points = np.array(simplex_grid(n_elements, DIVISIONS)).reshape(-1, n_elements)
    points = points[np.ptp(points, axis=1) > 0]
    n_present = (points > 0).sum(axis=1)
    chosen = [np.ones(n_elements)]
    for number, most in ((2, None), (4, n_elements), (3, n_elements)):
        kind = points[n_present == number]
        chosen += [kind[index] for index in islice(_spread(kind), most)]
    return [
        {element: float(share) for element, share in zip(elements, point / point.sum(), strict=True) if share}
        for point in chosen
    ]


def dilute_compositions(elements: Sequence[str]) -> list[tuple[str, str]]:
    """Return (host, impurity) of all pairs of elements, the hosts in turn."""
    n_elements = len(elements)
    return [
        (elements[host], elements[(host + shift) % n_elements])
        for shift in range(1, n_elements)
        for host in range(n_elements)
    ]


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
