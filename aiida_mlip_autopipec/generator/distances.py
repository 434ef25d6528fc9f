"""Shortest distances in a structure of up to about a hundred atoms: estimate, check, separation of atoms that are too close."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from ase import Atoms
from ase.data import covalent_radii


def close_packed_distance(atoms: Atoms) -> float:
    """Return the nearest-neighbour distance (Å) of close packing at the volume per atom of a crystal."""
    return float((2**0.5 * atoms.get_volume() / len(atoms)) ** (1 / 3))


def keeps_distance(atoms: Atoms, fraction: float) -> bool:
    """Return whether all distances are at least a fraction of the sum of the covalent radii."""
    return distances_at_least(atoms, fraction * covalent_radii[atoms.numbers])


def distances_at_least(atoms: Atoms, radii: np.ndarray) -> bool:
    """Return whether no two atoms, periodic images included, are closer than the sum of their radii.

    All pairs are computed together, each with the images that may be that close. With an atom's fractional coordinates
    within 1/2 of those of another, its image m cells away along an axis is farther than (abs(m) - 1/2) heights of the cell.

    :param radii: (n,) in Å.
    """
    vectors, shifts = _vectors(atoms, 2 * radii.max())
    first, second = _pairs(len(atoms))
    limits = (radii[first] + radii[second]) ** 2
    squares = ((vectors[:, None] + shifts) ** 2).sum(axis=2)
    # The first shift is zero; the others connect an atom with its own images, too.
    own = (shifts[1:] ** 2).sum(axis=1).min(initial=np.inf)
    return bool((squares >= limits[:, None]).all() and own >= (2 * radii.max()) ** 2)


def push_apart(atoms: Atoms, radii: np.ndarray, steps: int = 30) -> None:
    """Move atoms that are closer than the sum of their radii apart along their connection, pair by pair, at most `steps` times.

    Only the nearest image of each pair counts, so that in small cells some distances may remain shorter.

    :param radii: (n,) in Å.
    """
    vectors, shifts = _vectors(atoms, 2 * radii.max())
    first, second = _pairs(len(atoms))
    nearest = ((vectors[:, None] + shifts) ** 2).sum(axis=2).argmin(axis=1)
    images = vectors + shifts[nearest] - (atoms.positions[second] - atoms.positions[first])
    limits = radii[first] + radii[second]
    for _ in range(steps):
        vectors = atoms.positions[second] - atoms.positions[first] + images
        distances = np.linalg.norm(vectors, axis=1)
        close = np.flatnonzero(distances < limits)
        if not len(close):
            return
        overlap = (limits[close] / np.maximum(distances[close], 1e-3) - 0.999) / 2
        moves = overlap[:, None] * vectors[close]
        np.add.at(atoms.positions, first[close], -moves)
        np.add.at(atoms.positions, second[close], moves)


def _vectors(atoms: Atoms, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the vector (p, 3) of each pair of atoms to an image, and the shifts (s, 3) to all images within reach (Å)."""
    periodic = atoms.pbc
    cell = atoms.cell.complete().array
    inverse = np.linalg.inv(cell)
    first, second = _pairs(len(atoms))
    vectors = atoms.positions[second] - atoms.positions[first]
    if periodic.any():
        vectors -= (np.rint(vectors @ inverse) * periodic) @ cell
    return vectors, image_shifts(cell, inverse, reach, periodic)


def image_shifts(cell: np.ndarray, inverse: np.ndarray, reach: float, periodic: np.ndarray | bool = True) -> np.ndarray:
    """Return the shifts (s, 3) to all images that may be within reach (Å) of an atom, the zero shift first.

    :param cell: (3, 3) in Å, with its `inverse`. Vectors between atoms have fractional coordinates within 1/2 along periodic
        axes.
    """
    # The reciprocal vectors are the columns of the inverse; their lengths are the inverse heights of the cell.
    images_away = np.floor(reach * np.linalg.norm(inverse, axis=0) + 0.5).astype(int) * periodic
    return np.asarray(_shifts(*images_away.tolist()) @ cell)


@lru_cache(maxsize=256)
def _pairs(n_atoms: int) -> tuple[np.ndarray, np.ndarray]:
    return np.triu_indices(n_atoms, 1)


@lru_cache(maxsize=256)
def _shifts(*largest: int) -> np.ndarray:
    """Return the shifts (m, 3) by whole cells up to a number along each axis, the zero shift first."""
    ranges = [sorted(range(-most, most + 1), key=abs) for most in largest]
    return np.array(np.meshgrid(*ranges, indexing="ij"), dtype=float).reshape(3, -1).T
