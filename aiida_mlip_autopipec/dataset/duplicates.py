"""Search for equal structures by their fingerprints."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from scipy.cluster.hierarchy import DisjointSet
from scipy.spatial import cKDTree

from ..config.schemas.curation import DuplicateConfig
from .fingerprint import ComparisonKey, Fingerprint, are_equal, comparison_key, fingerprint, widen

_FEATURE_COLUMNS = (0, 2, 5, 11, 17, 29, 47, 79)
"""Neighbours whose distances go into the features; the more species, the fewer."""

_ROUNDING = 1.0 + 1e-6
"""Factor that widens the search by features, because features and rows have different rounding errors."""

_CACHE_BYTES = 512 * 2**20
"""Memory for rows during a search; others are computed again when needed."""


@dataclass(frozen=True, eq=False)
class Duplicates:
    """Equal structures among n.

    :ivar representative: (n,) for each structure the index of its representative: itself, or an equal structure that
        comes earlier. No two representatives are equal. A free atom counts as earlier than all others, because the reference
        energy follows from it.
    :ivar group: (n,) number of the group, counted by first appearance. Equal structures share a group, and so do those
        linked by a chain of equal ones.
    """

    representative: np.ndarray
    group: np.ndarray


def find_duplicates(structures: Sequence[Atoms], settings: DuplicateConfig | None = None) -> Duplicates:
    """Find the equal structures among n.

    Structures with the same comparison key are compared if a few means and extremes of their rows agree within the
    tolerance, which a KD-tree finds; that filter misses no pair, and :func:`distance` decides. Time grows nearly linearly
    with n, also if most structures are equal; memory holds about 20 numbers for each structure and a bounded number of
    fingerprints.

    :raises ValueError: if a structure has no fingerprint (see :func:`fingerprint`); the message contains its index.
    """
    settings = settings or DuplicateConfig()
    fingerprints = _Fingerprints(structures, settings)
    representative = np.arange(len(structures))
    links = DisjointSet(range(len(structures)))
    members: dict[ComparisonKey, list[int]] = {}
    for index, atoms in enumerate(structures):
        members.setdefault(comparison_key(atoms), []).append(index)
    for indices in members.values():
        search = _Search(indices, fingerprints, settings.tolerance, links)
        search.cover(representative)
        search.connect()
    roots = [links[index] for index in range(len(structures))]
    number: dict[int, int] = {}
    group = np.array([number.setdefault(root, len(number)) for root in roots], dtype=int)
    return Duplicates(representative, group)


def _features(current: Fingerprint) -> np.ndarray:
    """Return means and maxima over the atoms of each species of some columns of their rows, in Å.

    None of them changes by more than the distance between two structures.
    """
    n_species = len(current.rows)
    columns = _FEATURE_COLUMNS[: -(-len(_FEATURE_COLUMNS) // n_species)]
    rows = [widen(rows, max(rows.shape[2], columns[-1] + 1), current.fill)[:, :, columns] for rows in current.rows]
    return np.concatenate(
        [extreme.ravel() for block in rows for extreme in (block.mean(axis=0, dtype=float), block.max(axis=0))]
    )


class _Fingerprints:
    """Fingerprints by index of the structure: the last used ones are kept, others computed again."""

    def __init__(self, structures: Sequence[Atoms], settings: DuplicateConfig) -> None:
        self._structures = structures
        self._settings = settings
        self._kept: OrderedDict[int, Fingerprint] = OrderedDict()
        self._bytes = 0

    def __getitem__(self, index: int) -> Fingerprint:
        if index in self._kept:
            self._kept.move_to_end(index)
            return self._kept[index]
        try:
            current = fingerprint(self._structures[index], self._settings)
        except ValueError as error:
            raise ValueError(f"structure {index}: {error}") from error
        self._kept[index] = current
        self._bytes += _size(current)
        while self._bytes > _CACHE_BYTES and len(self._kept) > 1:
            self._bytes -= _size(self._kept.popitem(last=False)[1])
        return current


def _size(current: Fingerprint) -> int:
    return sum(rows.nbytes for rows in current.rows)


class _Search:
    """Search for equal structures among those with one comparison key, in the order of preference as representatives."""

    def __init__(
        self, indices: Sequence[int], fingerprints: _Fingerprints, tolerance: float, links: DisjointSet
    ) -> None:
        features, is_free_atom = [], []
        for index in indices:
            current = fingerprints[index]
            features.append(_features(current))
            is_free_atom.append(current.is_free_atom)
        preference = np.argsort(np.logical_not(is_free_atom), kind="stable")
        self._indices = np.array(indices)[preference]
        self._features = np.array(features)[preference]
        self._fingerprints = fingerprints
        self._tolerance = tolerance
        self._links = links
        # The structures that each representative stands for, itself included; numbers are places in `_indices`.
        self._covered_by: dict[int, list[int]] = {}

    def cover(self, representative: np.ndarray) -> None:
        """Assign each structure to the first one equal to it that is not itself assigned."""
        tree = cKDTree(self._features)
        unassigned = np.ones(len(self._indices), dtype=bool)
        for first in range(len(self._indices)):
            if not unassigned[first]:
                continue
            unassigned[first] = False
            covered = [first]
            candidates = np.array(tree.query_ball_point(self._features[first], self._tolerance * _ROUNDING, p=np.inf))
            for candidate in candidates[unassigned[candidates]] if len(candidates) > 1 else ():
                if self._equal(first, candidate, self._tolerance):
                    unassigned[candidate] = False
                    covered.append(int(candidate))
                    representative[self._indices[candidate]] = self._indices[first]
                    self._links.merge(self._indices[first], self._indices[candidate])
            self._covered_by[first] = covered

    def connect(self) -> None:
        """Link two representatives if a structure represented by one equals a structure represented by the other."""
        representatives = np.array(list(self._covered_by))
        tree = cKDTree(self._features[representatives])
        for first, covered in self._covered_by.items():
            if len(covered) == 1:
                continue
            # Two structures within the tolerance of each other and of their representatives: at most three tolerances.
            near = representatives[
                tree.query_ball_point(self._features[first], 3.0 * self._tolerance * _ROUNDING, p=np.inf)
            ]
            for other in near:
                if not self._linked(first, other) and self._equal(first, other, 3.0 * self._tolerance):
                    self._connect(covered, self._covered_by[int(other)])

    def _connect(self, ours: Sequence[int], theirs: Sequence[int]) -> None:
        tree = cKDTree(self._features[list(theirs)])
        for first in ours:
            for position in tree.query_ball_point(self._features[first], self._tolerance * _ROUNDING, p=np.inf):
                if self._equal(first, theirs[position], self._tolerance):
                    self._links.merge(self._indices[first], self._indices[theirs[position]])
                    return

    def _linked(self, first: int, second: int) -> bool:
        return bool(self._links.connected(self._indices[first], self._indices[second]))

    def _equal(self, first: int, second: int, tolerance: float) -> bool:
        return are_equal(
            self._fingerprints[int(self._indices[first])], self._fingerprints[int(self._indices[second])], tolerance
        )
