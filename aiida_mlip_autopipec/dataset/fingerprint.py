"""Which structures are the same structure.

Each atom has a row: its sorted distances to the atoms of each species. The rows of all atoms, as a set weighted by
concentration, are the fingerprint of a structure. It is the pointwise distance distribution (PDD) of D. Widdowson and
V. Kurlin ("Resolving the data ambiguity for periodic crystals", NeurIPS 2022, arXiv:2108.04798), resolved by species
and cut at a radius instead of a number of neighbours; its mean row is the average minimum distance of D. Widdowson,
M. M. Mosca, A. Pulido, V. Kurlin and A. I. Cooper ("Average minimum distances of periodic point sets", MATCH Commun.
Math. Comput. Chem. 87, 529 (2022)).

**Invariant** to translation, rotation, reflection, the order of like atoms, and for periodic structures the choice of
cell and of supercell. A structure periodic in some number of directions never equals one periodic in another number
(cluster, chain, slab, crystal). Finite structures must have the same atoms, periodic ones the same concentrations.

**Continuous**: if no atom of a structure moves by more than e, :func:`distance` to the original is at most 2e.
Distances beyond the radius count as the radius, so that an atom that enters the sphere makes no jump.

**Tells apart** what pair distribution functions and diffraction confuse, such as the homometric point sets
{0, r, 2 + r, 4} + 8Z and {0, 2 + r, 4, 4 + r} + 8Z, and structures that differ by a swap of unlike atoms, unless a
symmetry maps one onto the other.

**Cannot tell apart**

- mirror images, on purpose: their energies are equal;
- periodic structures that differ only beyond the radius, such as slabs in different amounts of vacuum, or a free atom
  in boxes of different size. A potential with a cutoff below the radius cannot tell them apart either;
- different structures in which, atom by atom, the distances to all others are the same sets. They exist (compare S. N.
  Pozdnyakov et al., "Incompleteness of atomic structure representations", Phys. Rev. Lett. 125, 166001 (2020); the
  tests hold a pair of five atoms) but are exceptional: the PDD of a periodic set in general position determines the
  set (arXiv:2108.04798).
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise, permutations, product
from math import gcd

import numpy as np
from ase import Atoms
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from ..config.schemas.curation import DuplicateConfig

Kind = tuple[int, tuple[tuple[int, int], ...]]
"""Number of periodic directions; atomic numbers and their counts, reduced to coprime numbers if periodic."""

_COMPACT = 1.5
"""Product of the lengths of the cell vectors over the volume above which a cell is reduced (1.41 for primitive fcc)."""

_SWEEPS = 200
"""Most sweeps of the reduction, which takes a few: a bound on what rounding can do, since any basis will serve."""

_MOST_IMAGES = 1_000_000
"""Most translations within the radius; a smaller cell is an error."""

_CHUNK = 2_000_000
"""Number of distances held at a time for one structure."""

_FEATURE_COLUMNS = (0, 2, 5, 11, 17, 29, 47, 79)
"""Neighbours whose distances go into the features; the more species, the fewer."""

_ABSENT = 1e6
"""Distance, in Å, to atoms that a finite structure does not have."""

_ROUNDING = 1.0 + 1e-6
"""Widens the search by features, which are rounded differently from the rows they stand for."""

_CACHE_BYTES = 512 * 2**20
"""Memory for rows during a search; others are computed again when needed."""


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """The invariant of a structure of s species and n atoms.

    :ivar kind: what must agree exactly.
    :ivar rows: one array (n_A, s, k) a species A, in the order of atomic numbers: for each atom of A the sorted
        distances to the atoms of each species, in Å, in single precision, filled up with `fill`.
    :ivar fill: the radius, in Å; a million for a finite structure, whose rows hold all distances.
    """

    kind: Kind
    rows: tuple[np.ndarray, ...]
    fill: float

    @property
    def lonely(self) -> bool:
        """Whether this is one atom without a neighbour: a free atom."""
        return len(self.rows) == 1 and self.rows[0].shape[0] == 1 and self.rows[0].shape[2] == 0


@dataclass(frozen=True, eq=False)
class Duplicates:
    """Equal structures among n.

    :ivar representative: (n,) for each structure the index of the one that stands for it: itself, or an equal one that
        comes earlier. No two representatives are equal. A free atom counts as earlier than all others, for reference
        energies rest on it.
    :ivar group: (n,) number of the group, counted by first appearance. Equal structures share a group, and so do those
        linked by a chain of equal ones.
    """

    representative: np.ndarray
    group: np.ndarray


def fingerprint(atoms: Atoms, settings: DuplicateConfig | None = None) -> Fingerprint:
    """Compute the invariant of a structure.

    :raises ValueError: if it has no atoms, a position is not finite, or it is periodic along a direction without a cell
        vector.
    """
    radius = (settings or DuplicateConfig()).radius
    if len(atoms) == 0:
        raise ValueError("a structure without atoms has no fingerprint")
    positions = atoms.positions[np.argsort(atoms.numbers, kind="stable")]
    if not np.isfinite(positions).all():
        raise ValueError(f"{atoms.get_chemical_formula()}: positions are not finite")
    images = _Images.within(radius, atoms) if atoms.pbc.any() else _Images.none()
    counts = [count for _, count in _composition(atoms)]
    return Fingerprint(_kind(atoms), _rows(positions, counts, images), images.radius)


def _composition(atoms: Atoms) -> list[tuple[int, int]]:
    return sorted(Counter(atoms.numbers.tolist()).items())


def _kind(atoms: Atoms) -> Kind:
    composition = _composition(atoms)
    dimension = int(np.count_nonzero(atoms.pbc))
    multiple = gcd(*(count for _, count in composition)) if dimension else 1
    return dimension, tuple((number, count // multiple) for number, count in composition)


@dataclass(frozen=True, eq=False)
class _Images:
    """Translations (m, 3) in Å that bring any wrapped difference vector within the radius; the first is 0.

    `vectors` (p, 3) are the periodic cell vectors and `dual` (3, p) gives fractional coordinates along them.
    """

    translations: np.ndarray
    vectors: np.ndarray
    dual: np.ndarray
    radius: float

    @classmethod
    def none(cls) -> _Images:
        return cls(np.zeros((1, 3)), np.zeros((0, 3)), np.zeros((3, 0)), _ABSENT)

    @classmethod
    def within(cls, radius: float, atoms: Atoms) -> _Images:
        vectors = compact_lattice(atoms)
        dual = np.linalg.inv(vectors) if len(vectors) == 3 else np.linalg.pinv(vectors)
        # Wrapped to half a cell of height h, a difference vector needs no more than radius / h + 1/2 cells.
        reach = np.floor(radius * np.sqrt((dual**2).sum(axis=0)) + 0.5 + 1e-9)
        if np.prod(2.0 * reach + 1.0) > _MOST_IMAGES:
            raise ValueError(
                f"{atoms.get_chemical_formula()}: the cell {vectors.tolist()} is too small "
                f"to compare distances up to {radius:g} Å"
            )
        translations = _grid(tuple(reach.tolist())) @ vectors
        lengths = np.sqrt(np.einsum("ij,ij->i", translations, translations))
        longest_wrapped = 0.5 * np.sqrt((vectors**2).sum(axis=1)).sum()
        order = np.argsort(lengths, kind="stable")
        return cls(translations[order[lengths[order] <= radius + longest_wrapped]], vectors, dual, radius)

    def wrap(self, differences: np.ndarray) -> np.ndarray:
        """Return difference vectors (m, 3) less whole periods."""
        if len(self.vectors) == 0:
            return differences
        return differences - np.rint(differences @ self.dual) @ self.vectors


@lru_cache(maxsize=64)
def _grid(reach: tuple[float, ...]) -> np.ndarray:
    """Return all combinations (m, p) of whole numbers from -reach to reach."""
    return np.stack(np.meshgrid(*(np.arange(-n, n + 1.0) for n in reach), indexing="ij"), axis=-1).reshape(
        -1, len(reach)
    )


def is_free_atom(atoms: Atoms, settings: DuplicateConfig | None = None) -> bool:
    """Tell whether a structure is one atom without neighbours within the radius, alone or in a large periodic box."""
    return len(atoms) == 1 and fingerprint(atoms, settings).lonely


def shortest_distances(atoms: Atoms, radius: float) -> dict[tuple[int, int], float]:
    """Return the shortest distances, in Å, between atoms of any two species (atomic numbers) that lie within a radius.

    :raises ValueError: as :func:`fingerprint`.
    """
    current = fingerprint(atoms, DuplicateConfig(radius=radius))
    species = [number for number, _ in current.kind[1]]
    shortest = {
        (first, second): float(rows[:, column, 0].min())
        for first, rows in zip(species, current.rows, strict=True)
        for column, second in enumerate(species)
        if first <= second and rows.shape[2]
    }
    return {pair: length for pair, length in shortest.items() if length < radius}


def compact_lattice(atoms: Atoms) -> np.ndarray:
    """Return the periodic cell vectors (p, 3) of the same lattice, reduced if they are skewed, in Å.

    :raises ValueError: if the structure is periodic along a direction without a cell vector of its own.
    """
    vectors = atoms.cell.array[atoms.pbc]
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    content = (
        abs(np.linalg.det(vectors)) if len(vectors) == 3 else np.sqrt(max(np.linalg.det(vectors @ vectors.T), 0.0))
    )
    if not content > 1e-8 * np.prod(lengths):
        raise ValueError(
            f"{atoms.get_chemical_formula()}: periodic in {len(vectors)} directions, "
            f"but its cell vectors {vectors.tolist()} do not span as many"
        )
    return vectors if np.prod(lengths) <= _COMPACT * content else _reduce(vectors)


def _reduce(vectors: np.ndarray) -> np.ndarray:
    """Return a Minkowski-reduced basis (p, 3) of the lattice, p <= 3: no vector is longer than its sum with others.

    Pairs are reduced as in Lagrange's algorithm; in three dimensions the sums of all three remain to be tried (P. Q.
    Nguyen and D. Stehlé, "Low-dimensional lattice basis reduction revisited", ACM Trans. Algorithms 5, 46 (2009)).
    """
    basis = list(vectors)
    for _ in range(_SWEEPS):
        changed = False
        for first, second in permutations(range(len(basis)), 2):
            ratio = (basis[first] @ basis[second]) / (basis[second] @ basis[second])
            if abs(ratio) > 0.5 + 1e-9:
                basis[first] = basis[first] - np.rint(ratio) * basis[second]
                changed = True
        if not changed and len(basis) == 3:
            longest = max(range(3), key=lambda index: float(basis[index] @ basis[index]))
            sums = [basis[0] + i * basis[1] + j * basis[2] for i, j in product((1.0, -1.0), repeat=2)]
            shortest = min(sums, key=lambda vector: float(vector @ vector))
            if shortest @ shortest < (1.0 - 1e-9) * (basis[longest] @ basis[longest]):
                basis[longest] = shortest
                changed = True
        if not changed:
            break
    return np.array(basis)


def _rows(positions: np.ndarray, counts: Sequence[int], images: _Images) -> tuple[np.ndarray, ...]:
    """Return sorted distances; `positions` (n, 3) are ordered by species with `counts` atoms each."""
    n_atoms, n_images = len(positions), len(images.translations)
    edges = np.concatenate([[0], np.cumsum(counts)])
    # |d + t|^2 = |d|^2 + 2 d.t + |t|^2 as one matrix product.
    transform = np.empty((5, n_images))
    transform[:3] = 2.0 * images.translations.T
    transform[3] = 1.0
    transform[4] = np.einsum("ij,ij->i", images.translations, images.translations)
    limit = images.radius**2
    chunks = []
    step = max(1, _CHUNK // (n_atoms * n_images))
    for start in range(0, n_atoms, step):
        stop = min(start + step, n_atoms)
        terms = np.empty(((stop - start) * n_atoms, 5))
        differences = (positions[start:stop, None] - positions).reshape(-1, 3)
        terms[:, :3] = images.wrap(differences)
        terms[:, 3] = np.einsum("ij,ij->i", terms[:, :3], terms[:, :3])
        terms[:, 4] = 1.0
        squares = (terms @ transform).astype(np.float32).reshape(stop - start, n_atoms, n_images)
        itself = np.arange(start, stop)
        squares[itself - start, itself, 0] = np.inf
        blocks = [_smallest(squares[:, first:last].reshape(stop - start, -1), limit) for first, last in pairwise(edges)]
        chunks.append(_stack(blocks, images.radius))
    width = max(chunk.shape[2] for chunk in chunks)
    rows = np.concatenate([_widen(chunk, width, images.radius) for chunk in chunks])
    return tuple(np.split(rows, edges[1:-1]))


def _smallest(squares: np.ndarray, limit: float) -> np.ndarray:
    """Return for each row the square roots of what is below the limit, sorted, filled up with the limit's."""
    width = int(np.count_nonzero(squares < np.float32(limit), axis=1).max(initial=0))
    if width == 0:
        return np.empty((len(squares), 0), dtype=squares.dtype)
    if width < squares.shape[1]:
        squares = np.partition(squares, width - 1, axis=1)[:, :width]
    return np.sqrt(np.clip(np.sort(squares, axis=1), 0.0, limit))


def _stack(blocks: Sequence[np.ndarray], fill: float) -> np.ndarray:
    width = max(block.shape[1] for block in blocks)
    rows = np.full((len(blocks[0]), len(blocks), width), fill, dtype=blocks[0].dtype)
    for index, block in enumerate(blocks):
        rows[:, index, : block.shape[1]] = block
    return rows


def _widen(rows: np.ndarray, width: int, fill: float) -> np.ndarray:
    if rows.shape[2] == width:
        return rows
    wide = np.full((*rows.shape[:2], width), fill, dtype=rows.dtype)
    wide[:, :, : rows.shape[2]] = rows
    return wide


def distance(first: Fingerprint, second: Fingerprint) -> float:
    """Return how far two structures are from being equal, in Å; infinite if they are of different kinds.

    It is the smallest t for which the atoms of both fall into classes of equal concentration, linked by rows no entry
    of which differs by more than t: at least the Hausdorff distance between the sets of rows, at most the bottleneck
    distance between the distributions. It obeys the triangle inequality.
    """
    if first.kind != second.kind:
        return np.inf
    return max(_smallest_balanced(gaps) for gaps in _gaps(first, second))


def _gaps(first: Fingerprint, second: Fingerprint) -> Iterator[np.ndarray]:
    """Yield for each species the largest difference (n_A, n_A') between the rows of any two of its atoms."""
    for ours, theirs in zip(first.rows, second.rows, strict=True):
        width = max(ours.shape[2], theirs.shape[2])
        if width == 0:
            yield np.zeros((len(ours), len(theirs)))
            continue
        yield cdist(
            _widen(ours, width, first.fill).reshape(len(ours), -1),
            _widen(theirs, width, second.fill).reshape(len(theirs), -1),
            metric="chebyshev",
        )


def _smallest_balanced(gaps: np.ndarray) -> float:
    hausdorff = max(gaps.min(axis=0).max(), gaps.min(axis=1).max())
    values = np.unique(gaps)
    low, high = int(np.searchsorted(values, hausdorff)), len(values) - 1
    while low < high:
        middle = (low + high) // 2
        if _balanced(gaps <= values[middle]):
            high = middle
        else:
            low = middle + 1
    return float(values[low])


def _balanced(linked: np.ndarray) -> bool:
    """Tell whether every class of linked atoms has the same concentration on both sides."""
    if linked.all():
        return True
    if not (linked.any(axis=0).all() and linked.any(axis=1).all()):
        return False
    ours, theirs = linked.shape
    # Enough, and quick: atoms linked to each other have numbers of links in the ratio of the numbers of atoms.
    links_of_ours, links_of_theirs = linked.sum(axis=1), linked.sum(axis=0)
    if not (linked & (links_of_ours[:, None] * ours != links_of_theirs * theirs)).any():
        return True
    graph = np.zeros((ours + theirs, ours + theirs), dtype=bool)
    graph[:ours, ours:] = linked
    n_classes, classes = connected_components(graph, directed=False)
    of_ours = np.bincount(classes[:ours], minlength=n_classes)
    of_theirs = np.bincount(classes[ours:], minlength=n_classes)
    return bool((of_ours * theirs == of_theirs * ours).all())


def _equal(first: Fingerprint, second: Fingerprint, tolerance: float) -> bool:
    """Tell whether the distance is within the tolerance."""
    return first.kind == second.kind and all(_balanced(gaps <= tolerance) for gaps in _gaps(first, second))


def find_duplicates(structures: Sequence[Atoms], settings: DuplicateConfig | None = None) -> Duplicates:
    """Find the equal structures among n.

    Structures of one kind are compared if a few means and extremes of their rows agree within the tolerance, which a
    KD-tree finds; that filter misses no pair, and :func:`distance` decides. Time grows nearly linearly with n, also if
    most structures are equal; memory holds about 20 numbers a structure and a bounded number of fingerprints.

    :raises ValueError: if a structure has no fingerprint (see :func:`fingerprint`); the message bears its index.
    """
    settings = settings or DuplicateConfig()
    fingerprints = _Fingerprints(structures, settings)
    representative = np.arange(len(structures))
    links = _Links(len(structures))
    members: dict[Kind, list[int]] = {}
    for index, atoms in enumerate(structures):
        members.setdefault(_kind(atoms), []).append(index)
    for indices in members.values():
        search = _Search(indices, fingerprints, settings.tolerance, links)
        search.cover(representative)
        search.connect()
    roots = [links.root(index) for index in range(len(structures))]
    number: dict[int, int] = {}
    group = np.array([number.setdefault(root, len(number)) for root in roots], dtype=int)
    return Duplicates(representative, group)


def _features(current: Fingerprint) -> np.ndarray:
    """Return means and maxima over the atoms of each species of some columns of their rows, in Å.

    None of them changes by more than the distance between two structures.
    """
    n_species = len(current.rows)
    columns = _FEATURE_COLUMNS[: -(-len(_FEATURE_COLUMNS) // n_species)]
    rows = [_widen(rows, max(rows.shape[2], columns[-1] + 1), current.fill)[:, :, columns] for rows in current.rows]
    return np.concatenate(
        [extreme.ravel() for block in rows for extreme in (block.mean(axis=0, dtype=float), block.max(axis=0))]
    )


class _Links:
    """Which structures belong together: union-find with path halving."""

    def __init__(self, size: int) -> None:
        self._parent = list(range(size))

    def root(self, index: int) -> int:
        parent = self._parent
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    def join(self, first: int, second: int) -> None:
        self._parent[self.root(second)] = self.root(first)


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
    """Search for equal structures among those of one kind, in the order of preference as representatives."""

    def __init__(self, indices: Sequence[int], fingerprints: _Fingerprints, tolerance: float, links: _Links) -> None:
        features, lonely = [], []
        for index in indices:
            current = fingerprints[index]
            features.append(_features(current))
            lonely.append(current.lonely)
        preference = np.argsort(np.logical_not(lonely), kind="stable")
        self._indices = np.array(indices)[preference]
        self._features = np.array(features)[preference]
        self._fingerprints = fingerprints
        self._tolerance = tolerance
        self._links = links
        self._covered_by: dict[int, list[int]] = {}

    def cover(self, representative: np.ndarray) -> None:
        """Assign each structure to the first one equal to it that is not itself assigned."""
        tree = cKDTree(self._features)
        free = np.ones(len(self._indices), dtype=bool)
        for seed in range(len(self._indices)):
            if not free[seed]:
                continue
            free[seed] = False
            covered = [seed]
            candidates = np.array(tree.query_ball_point(self._features[seed], self._tolerance * _ROUNDING, p=np.inf))
            for candidate in candidates[free[candidates]] if len(candidates) > 1 else ():
                if self._equal(seed, candidate, self._tolerance):
                    free[candidate] = False
                    covered.append(int(candidate))
                    representative[self._indices[candidate]] = self._indices[seed]
                    self._links.join(self._indices[seed], self._indices[candidate])
            self._covered_by[seed] = covered

    def connect(self) -> None:
        """Link two representatives if one of the structures they stand for equals one of the other's."""
        seeds = np.array(list(self._covered_by))
        tree = cKDTree(self._features[seeds])
        for seed, covered in self._covered_by.items():
            if len(covered) == 1:
                continue
            # Two structures within the tolerance of each other and of their representatives: at most three tolerances.
            near = seeds[tree.query_ball_point(self._features[seed], 3.0 * self._tolerance * _ROUNDING, p=np.inf)]
            for other in near:
                if not self._linked(seed, other) and self._equal(seed, other, 3.0 * self._tolerance):
                    self._connect(covered, self._covered_by[int(other)])

    def _connect(self, ours: Sequence[int], theirs: Sequence[int]) -> None:
        tree = cKDTree(self._features[list(theirs)])
        for first in ours:
            for position in tree.query_ball_point(self._features[first], self._tolerance * _ROUNDING, p=np.inf):
                if self._equal(first, theirs[position], self._tolerance):
                    self._links.join(self._indices[first], self._indices[theirs[position]])
                    return

    def _linked(self, first: int, second: int) -> bool:
        return self._links.root(self._indices[first]) == self._links.root(self._indices[second])

    def _equal(self, first: int, second: int, tolerance: float) -> bool:
        return _equal(
            self._fingerprints[int(self._indices[first])], self._fingerprints[int(self._indices[second])], tolerance
        )
