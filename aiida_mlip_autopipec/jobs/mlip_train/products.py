"""Functions of an ACE basis and their derivatives, as products of projections, for central atoms of one element.

A function of order v is the real part of a sum of products of v projections A of the atomic density, one for each species,
radial function, l and m (Drautz, Phys. Rev. B 99, 014104 (2019), eqs. 23-26). Its derivatives are sums of products of v - 1
projections, which many functions share: each product is computed once, and a sparse matrix combines them to the derivatives.
The functions are homogeneous, and follow from the derivatives: v B = sum of A dB/dA.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix

Projection = tuple[int, int, int, int]
"""A projection of the atomic density: species of the neighbours, radial index from 0, l, m; l is -1 in functions of order 1."""

GROUP_OVERHEAD = 5_000
"""Overhead of a group, in units of one product of a function and a projection."""


@dataclass(frozen=True)
class _Order:
    """Derivatives of the functions of one order: matrices from products to real and imaginary parts, with a row for each pair
    of a function and one of its projections."""

    factors: list[tuple[np.ndarray, np.ndarray]]
    real: csr_matrix
    imaginary: csr_matrix


@dataclass(frozen=True)
class _Group:
    """Functions that are computed together, with all projections that they need.

    `places` (function, projection) are the positions of the derivatives `pairs` in the dense matrix of the group. The matrix is
    reused, as its other elements are always zero.
    """

    functions: slice
    projections: np.ndarray
    pairs: np.ndarray
    places: tuple[np.ndarray, np.ndarray]
    matrix: np.ndarray


class Products:
    """The functions of central atoms of one element.

    `projections` are those with m >= 0 in these functions; `indices` are those of the functions, group by group.
    """

    def __init__(self, functions: Sequence[Any]) -> None:
        self.projections = sorted({(mu, n, l, abs(m)) for f in functions for mu, n, l, m in _projections(f)})
        self._index = {projection: index for index, projection in enumerate(self.projections)}
        self._negative = np.array(
            [index for index, projection in enumerate(self.projections) if projection[3] > 0], dtype=int
        )
        self._sign = np.array([(-1.0) ** self.projections[index][3] for index in self._negative])
        self._orders: list[_Order] = []
        self._function_of_pair, self._projection_of_pair = np.zeros(0, int), np.zeros(0, int)
        self._order_of = np.array([len(f.ns) for f in functions])
        for order in np.unique(self._order_of).tolist():
            self._add_order(order, [(index, f) for index, f in enumerate(functions) if len(f.ns) == order])
        self._pairs_begin = np.flatnonzero(np.diff(self._function_of_pair, prepend=-1))
        divided = self._divide()
        self.indices = np.array([function for members, _ in divided for function in members], dtype=int)
        self._groups = self._grouped(divided)

    def evaluate(self, projections: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the functions (m, atoms), in the order of `indices`, and the derivatives (atoms, 2, pairs) for :meth:`chain`.

        :param projections: values of the projections (projections, atoms).
        """
        signed = np.concatenate([projections, self._sign[:, None] * projections[self._negative].conj()])
        real, imaginary = [], []
        for order in self._orders:
            products = np.ones((1, projections.shape[1]), dtype=complex)
            for before, last in order.factors:
                products = products[before] * signed[last]
            real.append(order.real @ np.ascontiguousarray(products.real))
            imaginary.append(order.imaginary @ np.ascontiguousarray(products.imag))
        derivatives = np.stack([np.concatenate(real), np.concatenate(imaginary)])
        own = projections[self._projection_of_pair]
        terms = derivatives[0] * own.real + derivatives[1] * own.imag
        values = np.empty((len(self._order_of), projections.shape[1]))
        values[self._function_of_pair[self._pairs_begin]] = np.add.reduceat(terms, self._pairs_begin)
        values /= self._order_of[:, None]
        return values[self.indices], np.ascontiguousarray(derivatives.transpose(2, 0, 1))

    def chain(self, derivatives: np.ndarray, changes: np.ndarray) -> np.ndarray:
        """Return the changes of the functions of an atom, (k, m), for changes of its projections, (k, projections)."""
        split = np.concatenate([changes.real, changes.imag], axis=1)
        changed = np.empty((len(changes), len(self.indices)))
        for group in self._groups:
            real, imaginary = np.split(group.matrix, 2, axis=1)
            real[group.places] = derivatives[0, group.pairs]
            imaginary[group.places] = derivatives[1, group.pairs]
            columns = np.concatenate([group.projections, group.projections + changes.shape[1]])
            np.matmul(split[:, columns], group.matrix.T, out=changed[:, group.functions])
        return changed

    def _add_order(self, order: int, functions: Sequence[tuple[int, Any]]) -> None:
        signed = [*self.projections, *((*self.projections[i][:3], -self.projections[i][3]) for i in self._negative)]
        position = {projection: index for index, projection in enumerate(signed)}
        rest_of_terms: list[tuple[int, ...]] = []
        keys: list[tuple[int, int]] = []
        coefficients: list[float] = []
        signs: list[float] = []
        for index, function in functions:
            kinds = list(_kinds(function))
            for combination, coefficient in zip(_combinations(function), np.ravel(function.gen_cgs), strict=True):
                members = [position[(*kind, m)] for kind, m in zip(kinds, combination, strict=True)]
                for place, (kind, m) in enumerate(zip(kinds, combination, strict=True)):
                    rest_of_terms.append(tuple(sorted(members[:place] + members[place + 1 :])))
                    keys.append((index, self._index[(*kind, abs(m))]))
                    conjugate = m < 0
                    coefficients.append(float(coefficient) * ((-1.0) ** m if conjugate else 1.0))
                    signs.append(-1.0 if conjugate else 1.0)
        factors, place_of = _factors(set(rest_of_terms), order - 1)
        pairs = sorted(set(keys))
        row_of = {pair: row for row, pair in enumerate(pairs)}
        rows = [row_of[key] for key in keys]
        columns = [place_of[rest] for rest in rest_of_terms]
        shape = (len(pairs), len(place_of))
        values = np.array(coefficients)
        # Re(D dA) = Re D Re dA - Im D Im dA: the sign goes into the matrix.
        self._orders.append(
            _Order(
                factors,
                coo_matrix((values, (rows, columns)), shape).tocsr(),
                coo_matrix((-values * np.array(signs), (rows, columns)), shape).tocsr(),
            )
        )
        self._function_of_pair = np.concatenate([self._function_of_pair, [pair[0] for pair in pairs]])
        self._projection_of_pair = np.concatenate([self._projection_of_pair, [pair[1] for pair in pairs]])

    def _divide(self) -> list[tuple[list[int], int]]:
        """Divide the functions into groups that are cheap to evaluate: merge groups as long as the cost falls.

        :return: functions of each group, and its projections as a bit mask.
        """
        masks = [0] * len(self._order_of)
        for function, projection in zip(
            self._function_of_pair.tolist(), self._projection_of_pair.tolist(), strict=True
        ):
            masks[function] |= 1 << projection
        groups: list[tuple[list[int], int]] = []
        by_momenta: dict[Any, int] = {}
        for function, mask in enumerate(masks):
            kind = (self._order_of[function], frozenset(self.projections[index][2] for index in _bits(mask)))
            number = by_momenta.setdefault(kind, len(groups))
            if number == len(groups):
                groups.append(([], 0))
            groups[number] = (groups[number][0] + [function], groups[number][1] | mask)
        while len(groups) > 1:
            pairs = [(first, second) for number, first in enumerate(groups) for second in groups[:number]]
            saved, first, second = max(
                (
                    (_cost(first) + _cost(second) - _cost(_merged(first, second)), first, second)
                    for first, second in pairs
                ),
                key=lambda merge: merge[0],
            )
            if saved <= 0:
                break
            groups = [group for group in groups if group is not first and group is not second] + [
                _merged(first, second)
            ]
        return [(sorted(members), mask) for members, mask in groups]

    def _grouped(self, divided: Sequence[tuple[list[int], int]]) -> list[_Group]:
        groups: list[_Group] = []
        for members, mask in divided:
            start = groups[-1].functions.stop if groups else 0
            functions, projections = np.array(members), np.array(_bits(mask))
            pairs = np.flatnonzero(np.isin(self._function_of_pair, functions))
            places = (
                np.searchsorted(functions, self._function_of_pair[pairs]),
                np.searchsorted(projections, self._projection_of_pair[pairs]),
            )
            matrix = np.zeros((len(functions), 2 * len(projections)))
            groups.append(_Group(slice(start, start + len(functions)), projections, pairs, places, matrix))
        return groups


def _merged(first: tuple[list[int], int], second: tuple[list[int], int]) -> tuple[list[int], int]:
    return first[0] + second[0], first[1] | second[1]


def _cost(group: tuple[list[int], int]) -> int:
    return len(group[0]) * group[1].bit_count() + GROUP_OVERHEAD


def _bits(mask: int) -> list[int]:
    return [index for index in range(mask.bit_length()) if mask >> index & 1]


def _kinds(function: Any) -> list[tuple[int, int, int]]:
    if len(function.ns) == 1:
        return [(function.mus[0], function.ns[0] - 1, -1)]
    return [(mu, n - 1, l) for mu, n, l in zip(function.mus, function.ns, function.ls, strict=True)]


def _combinations(function: Any) -> list[tuple[int, ...]]:
    return [tuple(row) for row in np.reshape(function.ms_combs, (-1, len(function.ns))).tolist()]


def _projections(function: Any) -> list[Projection]:
    kinds = _kinds(function)
    return [(*kind, m) for combination in _combinations(function) for kind, m in zip(kinds, combination, strict=True)]


def _factors(
    wanted: set[tuple[int, ...]], degree: int
) -> tuple[list[tuple[np.ndarray, np.ndarray]], dict[tuple[int, ...], int]]:
    """Return how products of one degree are formed, factor by factor, and the position of each product."""
    of_degree: list[list[tuple[int, ...]]] = []
    needed = wanted
    for _ in range(degree):
        of_degree.append(sorted(needed))
        needed = {product[:-1] for product in needed}
    of_degree.reverse()
    if not of_degree:
        return [], {(): 0}
    factors = []
    before: dict[tuple[int, ...], int] = {(): 0}
    for products in of_degree:
        factors.append(
            (np.array([before[product[:-1]] for product in products]), np.array([product[-1] for product in products]))
        )
        before = {product: place for place, product in enumerate(products)}
    return factors, before
