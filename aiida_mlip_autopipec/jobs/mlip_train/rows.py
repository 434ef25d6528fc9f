"""Rows of the design matrix: the functions of a basis on a structure, and their derivatives.

The time of pyace for the derivatives grows with the number of functions times the number of all projections, although a
function needs only a few. Here they are products of dense matrices for groups of similar functions, which is five times faster
for a thousand functions. Radial functions, coefficients and neighbours come from pyace.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from pyace import ACEBBasisSet

from .basis import FIRST_RADIAL, Basis, FunctionKey, embedding_of, functions_of
from .embedding import DENSITY_COEFFICIENT, embedding
from .harmonics import spherical_harmonics
from .neighbours import neighbour_vectors
from .products import Products

CHUNK = 16
"""Number of atoms whose projections are in memory at a time."""

_VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


@dataclass(frozen=True)
class Rows:
    """Rows of m functions: sum over the atoms (m,), forces (3n, m) and virial (6, m) in Voigt order."""

    energy: np.ndarray
    forces: np.ndarray
    virial: np.ndarray


@dataclass(frozen=True)
class _Pairs:
    """Pairs of atoms, sorted by the first and then the second atom: indices (p,), and vectors (p, 3) in Å."""

    first: np.ndarray
    second: np.ndarray
    vectors: np.ndarray

    def of(self, chosen: np.ndarray) -> _Pairs:
        """Return a subset of the pairs."""
        return _Pairs(self.first[chosen], self.second[chosen], self.vectors[chosen])


@dataclass(frozen=True)
class _ElementFunctions:
    """The functions of central atoms of one element, and their columns.

    :ivar in_density: positions of the functions whose sum is the density, None without embedding. The embedding is the last
        function.
    """

    products: Products
    columns: slice
    in_density: list[int] | None

    def evaluate(self, projections: np.ndarray) -> tuple[np.ndarray, list[Any]]:
        """Return the functions (m, atoms), and the derivatives of each atom for :meth:`chain`.

        :param projections: values of the projections (projections, atoms).
        """
        values, derivatives = self.products.evaluate(projections)
        slopes = np.zeros(values.shape[1])
        if self.in_density is not None:
            of_embedding, slopes = embedding(DENSITY_COEFFICIENT * values[self.in_density].sum(axis=0))
            values = np.vstack([values, of_embedding])
        return values, list(zip(derivatives, DENSITY_COEFFICIENT * slopes, strict=True))

    def chain(self, derivatives: tuple[np.ndarray, float], changes: np.ndarray) -> np.ndarray:
        """Return the changes of the functions of an atom, (k, m), for changes of its projections, (k, projections)."""
        of_products, slope = derivatives
        changed = self.products.chain(of_products, changes)
        if self.in_density is None:
            return changed
        return np.column_stack([changed, slope * changed[:, self.in_density].sum(axis=1)])


class RowBuilder:
    """Computes the rows of the design matrix, with columns in the order of `basis.functions`."""

    def __init__(self, basis: Basis) -> None:
        self.n_functions = basis.n_functions
        self._cutoff, self.species = basis.cutoff, basis.index_of_element
        # The basis set owns the radial functions and must be kept alive.
        self._set = ACEBBasisSet(basis.reduced(range(basis.n_functions), np.zeros(basis.n_functions)))
        functions = [
            f
            for order_one, higher in zip(self._set.basis_rank1, self._set.basis, strict=True)
            for f in [*order_one, *higher]
        ]
        keys = functions_of(self._set)
        self._centres: dict[int, _ElementFunctions] = {}
        order: list[FunctionKey] = []
        for element in self.species.values():
            mine = [index for index, f in enumerate(functions) if f.mu0 == element]
            products = Products([functions[index] for index in mine])
            ordered = [keys[mine[index]] for index in products.indices.tolist()]
            in_density = [place for place, key in enumerate(ordered) if key[2] == FIRST_RADIAL]
            last = [embedding_of(element)] if basis.has_embedding else []
            columns = slice(len(order), len(order) + len(ordered) + len(last))
            self._centres[element] = _ElementFunctions(products, columns, in_density if basis.has_embedding else None)
            order += ordered + last
        place_of = {key: place for place, key in enumerate(order)}
        self._columns = np.array([place_of[key] for key in basis.functions])

    def rows(self, atoms: Atoms, *, strain: bool) -> Rows:
        """Return the rows of a structure, with those of the virial if `strain` is set."""
        m = self.n_functions
        rows = Rows(np.zeros(m), np.zeros((3 * len(atoms), m)), np.zeros((6 if strain else 0, m)))
        self._compute(atoms, rows)
        return Rows(rows.energy[self._columns], rows.forces[:, self._columns], rows.virial[:, self._columns])

    def energy_row(self, atoms: Atoms) -> np.ndarray:
        """Return the sum of each function over the atoms (m,)."""
        rows = Rows(np.zeros(self.n_functions), np.zeros((0, 0)), np.zeros((0, 0)))
        self._compute(atoms, rows)
        return rows.energy[self._columns]

    def atom_rows(self, atoms: Atoms) -> np.ndarray:
        """Return the functions of each atom (n, m)."""
        rows = np.zeros((len(atoms), self.n_functions))
        for chunk_pairs, (values, _), centre in self._chunks(atoms):
            mine, starts = np.unique(chunk_pairs.first, return_index=True)
            rows[mine, centre.columns] = centre.evaluate(np.add.reduceat(values, starts).T)[0].T
        return rows[:, self._columns]

    def _compute(self, atoms: Atoms, rows: Rows) -> None:
        for chunk_pairs, one_particle, centre in self._chunks(atoms):
            self._add(chunk_pairs, *one_particle, centre, rows)

    def _chunks(self, atoms: Atoms) -> Iterator[tuple[_Pairs, tuple[np.ndarray, np.ndarray], _ElementFunctions]]:
        """Yield, for chunks of atoms of one element: pairs, results of :meth:`_one_particle`, and the functions."""
        species = np.array([self.species[symbol] for symbol in atoms.symbols])
        pairs = self._pairs(atoms)
        for element, centre in self._centres.items():
            mine = pairs.of(species[pairs.first] == element)
            of_chunk = np.unique(mine.first, return_inverse=True)[1] // CHUNK
            for chunk in range(of_chunk.max() + 1 if len(of_chunk) else 0):
                chunk_pairs = mine.of(of_chunk == chunk)
                neighbours = species[chunk_pairs.second]
                yield chunk_pairs, self._one_particle(element, neighbours, chunk_pairs.vectors, centre.products), centre

    def _add(
        self,
        pairs: _Pairs,
        values: np.ndarray,
        gradients: np.ndarray,
        centre: _ElementFunctions,
        rows: Rows,
    ) -> None:
        """Add the contributions of some atoms of one element to the rows."""
        atoms, starts = np.unique(pairs.first, return_index=True)
        functions, derivatives = centre.evaluate(np.add.reduceat(values, starts).T)
        columns = centre.columns
        rows.energy[columns] += functions.sum(axis=1)
        if not rows.forces.size:
            return
        # Add up pairs of the same two atoms (periodic images) first.
        group_starts = np.flatnonzero(np.diff(pairs.first, prepend=-1) | np.diff(pairs.second, prepend=-1))
        has_images = len(group_starts) < len(pairs.first)
        by_neighbour = np.add.reduceat(gradients, group_starts, axis=1) if has_images else gradients
        by_atom = np.add.reduceat(gradients, starts, axis=1)
        by_strain = np.array(
            [np.add.reduceat(gradients[a] * pairs.vectors[:, b, None], starts) for a, b in _VOIGT[: len(rows.virial)]]
        )
        windows = np.searchsorted(group_starts, [*starts, len(pairs.first)])
        for number, atom in enumerate(atoms.tolist()):
            window = slice(windows[number], windows[number + 1])
            neighbours = pairs.second[group_starts[window]]
            parts = [by_neighbour[:, window].transpose(1, 0, 2).reshape(-1, values.shape[1]), by_atom[:, number]]
            if len(rows.virial):
                parts.append(by_strain[:, number])
            function_gradients = centre.chain(derivatives[number], np.concatenate(parts))
            n = 3 * len(neighbours)
            rows.forces[(3 * neighbours[:, None] + np.arange(3)).ravel(), columns] -= function_gradients[:n]
            rows.forces[3 * atom : 3 * atom + 3, columns] += function_gradients[n : n + 3]
            rows.virial[:, columns] += function_gradients[n + 3 :]

    def _pairs(self, atoms: Atoms) -> _Pairs:
        first, second, vectors = neighbour_vectors(atoms, self._cutoff)
        return _Pairs(first, second, vectors).of(np.lexsort((second, first)))

    def _one_particle(
        self, element: int, species: np.ndarray, vectors: np.ndarray, products: Products
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the one-particle functions of pairs (p, projections), and their gradients (3, p, projections) in 1/Å.

        Their sum over the neighbours of an atom is the projection of the atomic density.
        """
        neighbour, n, l, m = np.array(products.projections).T
        distances = np.linalg.norm(vectors, axis=1)
        radial, slope = np.zeros((2, len(vectors), len(n)))
        functions = self._set.radial_functions
        of_pairs = l < 0
        for other in np.unique(species):
            pairs, mine = np.flatnonzero(species == other), neighbour == other
            functions.evaluate_range(distances[pairs], functions.nradbase, functions.nradial, element, int(other))
            if (mine & of_pairs).any():
                wanted = np.flatnonzero(mine & of_pairs)
                radial[np.ix_(pairs, wanted)] = np.array(functions.gr_vec)[:, n[wanted]]
                slope[np.ix_(pairs, wanted)] = np.array(functions.dgr_vec)[:, n[wanted]]
            # pyace raises an error for empty tables.
            if (mine & ~of_pairs).any():
                wanted = np.flatnonzero(mine & ~of_pairs)
                radial[np.ix_(pairs, wanted)] = np.array(functions.fr_vec)[:, n[wanted], l[wanted]]
                slope[np.ix_(pairs, wanted)] = np.array(functions.dfr_vec)[:, n[wanted], l[wanted]]
        l = np.maximum(l, 0)
        column = l * (l + 1) // 2 + m
        angular, angular_gradients = spherical_harmonics(vectors, int(l.max()))
        angular = angular[:, column]
        gradients = np.empty((3, *radial.shape), dtype=complex)
        radial_part = slope * angular
        for axis in range(3):
            direction = (vectors[:, axis] / distances)[:, None]
            gradients[axis] = radial_part * direction + radial * angular_gradients[axis][:, column]
        return radial * angular, gradients
