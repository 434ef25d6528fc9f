"""The fingerprint of a structure, and the distance between two structures, by which duplicates are found.

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
Distances beyond the radius count as the radius, so that the distance does not jump when an atom crosses the radius.

**Distinguishes** structures that pair distribution functions and diffraction do not, such as the homometric point sets
{0, r, 2 + r, 4} + 8Z and {0, 2 + r, 4, 4 + r} + 8Z, and structures that differ by a swap of unlike atoms, unless a
symmetry maps one onto the other.

**Does not distinguish**

- mirror images, on purpose: their energies are equal;
- periodic structures that differ only beyond the radius, such as slabs in different amounts of vacuum, or a free atom
  in boxes of different size. Neither does a potential with a cutoff below the radius;
- different structures in which every atom has the same sorted distances to all others. They exist (compare S. N.
  Pozdnyakov et al., "Incompleteness of atomic structure representations", Phys. Rev. Lett. 125, 166001 (2020); the
  tests hold a pair of five atoms) but are exceptional: the PDD of a periodic set in general position determines the
  set (arXiv:2108.04798).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from math import gcd

import numpy as np
from ase import Atoms

from ..config.schemas.curation import DuplicateConfig
from .lattice import compact_lattice

ComparisonKey = tuple[int, tuple[tuple[int, int], ...]]
"""Number of periodic directions and composition: atomic numbers with their counts, reduced to coprime numbers if periodic."""

_MOST_IMAGES = 1_000_000
"""Most translations within the radius; a smaller cell is an error."""

_CHUNK = 2_000_000
"""Number of distances held at a time for one structure."""

_ABSENT = 1e6
"""Distance, in Å, to atoms that a finite structure does not have."""


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """The invariant of a structure of s species and n atoms.

    :ivar comparison_key: the number of periodic directions and the composition, which equal structures have in common.
    :ivar rows: one array (n_A, s, k) for each species A, in the order of atomic numbers: for each atom of A the sorted
        distances to the atoms of each species, in Å, in single precision, filled up with `fill`.
    :ivar fill: the radius, in Å; a million for a finite structure, whose rows hold all distances.
    """

    comparison_key: ComparisonKey
    rows: tuple[np.ndarray, ...]
    fill: float

    @property
    def is_free_atom(self) -> bool:
        """Whether this is one atom without a neighbour: a free atom."""
        return len(self.rows) == 1 and self.rows[0].shape[0] == 1 and self.rows[0].shape[2] == 0


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
    return Fingerprint(comparison_key(atoms), _rows(positions, counts, images), images.radius)


def _composition(atoms: Atoms) -> list[tuple[int, int]]:
    return sorted(Counter(atoms.numbers.tolist()).items())


def comparison_key(atoms: Atoms) -> ComparisonKey:
    """Return the number of periodic directions and the composition: only structures equal in these are compared."""
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
    return len(atoms) == 1 and fingerprint(atoms, settings).is_free_atom


def shortest_distances(atoms: Atoms, radius: float) -> dict[tuple[int, int], float]:
    """Return the shortest distances, in Å, between atoms of any two species (atomic numbers) that lie within a radius.

    :raises ValueError: as :func:`fingerprint`.
    """
    current = fingerprint(atoms, DuplicateConfig(radius=radius))
    species = [number for number, _ in current.comparison_key[1]]
    shortest = {
        (first, second): float(rows[:, column, 0].min())
        for first, rows in zip(species, current.rows, strict=True)
        for column, second in enumerate(species)
        if first <= second and rows.shape[2]
    }
    return {pair: length for pair, length in shortest.items() if length < radius}


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
    rows = np.concatenate([widen(chunk, width, images.radius) for chunk in chunks])
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


def widen(rows: np.ndarray, width: int, fill: float) -> np.ndarray:
    """Return rows (n, s, k) filled up to (n, s, width)."""
    if rows.shape[2] == width:
        return rows
    wide = np.full((*rows.shape[:2], width), fill, dtype=rows.dtype)
    wide[:, :, : rows.shape[2]] = rows
    return wide


def distance(first: Fingerprint, second: Fingerprint) -> float:
    """Return the distance between two structures, in Å: 0 if they are equal, infinite if their comparison keys differ.

    It is the smallest t for which the atoms of both fall into classes of equal concentration, linked by rows no entry
    of which differs by more than t: at least the Hausdorff distance between the sets of rows, at most the bottleneck
    distance between the distributions. It obeys the triangle inequality.
    """
    if first.comparison_key != second.comparison_key:
        return np.inf
    return max(_smallest_balanced(gaps) for gaps in _gaps(first, second))


def _gaps(first: Fingerprint, second: Fingerprint) -> Iterator[np.ndarray]:
    """Yield for each species the largest difference (n_A, n_A') between the rows of any two of its atoms."""
    from scipy.spatial.distance import cdist

    for ours, theirs in zip(first.rows, second.rows, strict=True):
        width = max(ours.shape[2], theirs.shape[2])
        if width == 0:
            yield np.zeros((len(ours), len(theirs)))
            continue
        yield cdist(
            widen(ours, width, first.fill).reshape(len(ours), -1),
            widen(theirs, width, second.fill).reshape(len(theirs), -1),
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
    from scipy.sparse.csgraph import connected_components

    graph = np.zeros((ours + theirs, ours + theirs), dtype=bool)
    graph[:ours, ours:] = linked
    n_classes, classes = connected_components(graph, directed=False)
    of_ours = np.bincount(classes[:ours], minlength=n_classes)
    of_theirs = np.bincount(classes[ours:], minlength=n_classes)
    return bool((of_ours * theirs == of_theirs * ours).all())


def are_equal(first: Fingerprint, second: Fingerprint, tolerance: float) -> bool:
    """Tell whether the :func:`distance` of two structures is within a tolerance, in Å; faster than the distance itself."""
    return first.comparison_key == second.comparison_key and all(
        _balanced(gaps <= tolerance) for gaps in _gaps(first, second)
    )
