"""Products of one-particle functions: the functions of an ACE basis and what they change by, for a centre of one element.

A function of order v is the real part of a sum of products of v projections A of the atomic density, one for each species,
radial function, l and m (Drautz, Phys. Rev. B 99, 014104 (2019), eqs. 23-26). All derivatives are sums of products of v - 1
projections, which many functions share: each product is computed once, and a sparse matrix makes the derivatives of them.
From these the functions follow, as they are homogeneous: v B = sum of A dB/dA.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix

Particle = tuple[int, int, int, int]
"""Species of the neighbour, radial index from 0, l, m; l is -1 for the radial functions of pairs."""

GROUP_OVERHEAD = 5_000
"""What one more group costs, in products of one function and one projection."""


@dataclass(frozen=True)
class _Order:
    """Derivatives of the functions of one order: matrices from products to the real and imaginary parts of rows of pairs."""

    factors: list[tuple[np.ndarray, np.ndarray]]
    real: csr_matrix
    imaginary: csr_matrix


@dataclass(frozen=True)
class _Group:
    """Functions that are computed together, of the projections they have in common.

    The derivatives at `pairs` stand at `places` (function, projection) of the matrix of the group, which is kept, as what is
    zero in it always is.
    """

    functions: slice
    projections: np.ndarray
    pairs: np.ndarray
    places: tuple[np.ndarray, np.ndarray]
    matrix: np.ndarray


class Products:
    """The functions of centres of one element.

    `particles` are the projections with m >= 0 that they are made of; `order` gives the index of each function, group by group.
    """

    def __init__(self, functions: Sequence[Any]) -> None:
        self.particles = sorted({(mu, n, l, abs(m)) for f in functions for mu, n, l, m in _particles(f)})
        self._index = {particle: index for index, particle in enumerate(self.particles)}
        self._negative = np.array([index for index, one in enumerate(self.particles) if one[3] > 0], dtype=int)
        self._sign = np.array([(-1.0) ** self.particles[index][3] for index in self._negative])
        self._orders: list[_Order] = []
        self._function_of_pair, self._particle_of_pair = np.zeros(0, int), np.zeros(0, int)
        self._order_of = np.array([len(f.ns) for f in functions])
        for order in np.unique(self._order_of).tolist():
            self._add_order(order, [(index, f) for index, f in enumerate(functions) if len(f.ns) == order])
        self._pairs_begin = np.flatnonzero(np.diff(self._function_of_pair, prepend=-1))
        divided = self._divide()
        self.order = np.array([function for members, _ in divided for function in members], dtype=int)
        self._groups = self._grouped(divided)

    def evaluate(self, projections: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the functions (m, atoms), in this order, and what :meth:`chain` takes, for each atom.

        :param projections: (particles, atoms).
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
        own = projections[self._particle_of_pair]
        terms = derivatives[0] * own.real + derivatives[1] * own.imag
        values = np.empty((len(self._order_of), projections.shape[1]))
        values[self._function_of_pair[self._pairs_begin]] = np.add.reduceat(terms, self._pairs_begin)
        values /= self._order_of[:, None]
        return values[self.order], np.ascontiguousarray(derivatives.transpose(2, 0, 1))

    def chain(self, derivatives: np.ndarray, changes: np.ndarray) -> np.ndarray:
        """Return by how much the functions of an atom change, (k, m), if its projections change by (k, particles)."""
        split = np.concatenate([changes.real, changes.imag], axis=1)
        changed = np.empty((len(changes), len(self.order)))
        for group in self._groups:
            real, imaginary = np.split(group.matrix, 2, axis=1)
            real[group.places] = derivatives[0, group.pairs]
            imaginary[group.places] = derivatives[1, group.pairs]
            columns = np.concatenate([group.projections, group.projections + changes.shape[1]])
            np.matmul(split[:, columns], group.matrix.T, out=changed[:, group.functions])
        return changed

    def _add_order(self, order: int, functions: Sequence[tuple[int, Any]]) -> None:
        signed = [*self.particles, *((*self.particles[i][:3], -self.particles[i][3]) for i in self._negative)]
        position = {particle: index for index, particle in enumerate(signed)}
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
        self._particle_of_pair = np.concatenate([self._particle_of_pair, [pair[1] for pair in pairs]])

    def _divide(self) -> list[tuple[list[int], int]]:
        """Divide the functions into groups that are cheap to evaluate: merge those as long as the cost falls.

        :return: functions of each group, and bits of the projections.
        """
        masks = [0] * len(self._order_of)
        for function, particle in zip(self._function_of_pair.tolist(), self._particle_of_pair.tolist(), strict=True):
            masks[function] |= 1 << particle
        groups: list[tuple[list[int], int]] = []
        by_momenta: dict[Any, int] = {}
        for function, mask in enumerate(masks):
            kind = (self._order_of[function], frozenset(self.particles[index][2] for index in _bits(mask)))
            number = by_momenta.setdefault(kind, len(groups))
            if number == len(groups):
                groups.append(([], 0))
            groups[number] = (groups[number][0] + [function], groups[number][1] | mask)
        while len(groups) > 1:
            pairs = [(one, two) for number, one in enumerate(groups) for two in groups[:number]]
            saved, one, two = max(
                ((_cost(one) + _cost(two) - _cost(_merged(one, two)), one, two) for one, two in pairs),
                key=lambda merge: merge[0],
            )
            if saved <= 0:
                break
            groups = [group for group in groups if group is not one and group is not two] + [_merged(one, two)]
        return [(sorted(members), mask) for members, mask in groups]

    def _grouped(self, divided: Sequence[tuple[list[int], int]]) -> list[_Group]:
        groups: list[_Group] = []
        for members, mask in divided:
            start = groups[-1].functions.stop if groups else 0
            functions, projections = np.array(members), np.array(_bits(mask))
            pairs = np.flatnonzero(np.isin(self._function_of_pair, functions))
            places = (
                np.searchsorted(functions, self._function_of_pair[pairs]),
                np.searchsorted(projections, self._particle_of_pair[pairs]),
            )
            matrix = np.zeros((len(functions), 2 * len(projections)))
            groups.append(_Group(slice(start, start + len(functions)), projections, pairs, places, matrix))
        return groups


def _merged(one: tuple[list[int], int], two: tuple[list[int], int]) -> tuple[list[int], int]:
    return one[0] + two[0], one[1] | two[1]


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


def _particles(function: Any) -> list[Particle]:
    kinds = _kinds(function)
    return [(*kind, m) for combination in _combinations(function) for kind, m in zip(kinds, combination, strict=True)]


def _factors(
    wanted: set[tuple[int, ...]], degree: int
) -> tuple[list[tuple[np.ndarray, np.ndarray]], dict[tuple[int, ...], int]]:
    """Return how products of one degree are made, one factor after the other, and where each product stands."""
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
