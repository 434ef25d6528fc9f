"""Check of the shortest distances in a structure of up to about a hundred atoms."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from ase import Atoms


def distances_at_least(atoms: Atoms, radii: np.ndarray) -> bool:
    """Return whether no two atoms, periodic images included, are closer than the sum of their radii.

    All pairs are computed at once, each with the images that may be that close. With an atom's fractional coordinates
    within 1/2 of those of another, its image m cells away along an axis is farther than (abs(m) - 1/2) heights of the cell.

    :param radii: (n,) in Å.
    """
    periodic = atoms.pbc
    cell = atoms.cell.complete().array
    inverse = np.linalg.inv(cell)
    first, second = _pairs(len(atoms))
    differences = atoms.positions[second] - atoms.positions[first]
    if periodic.any():
        differences -= (np.rint(differences @ inverse) * periodic) @ cell
    limits = (radii[first] + radii[second]) ** 2
    # The reciprocal vectors are the columns of the inverse; their lengths are the inverse heights of the cell.
    images_away = np.floor(2 * radii.max() * np.linalg.norm(inverse, axis=0) + 0.5).astype(int) * periodic
    shifts = _shifts(*images_away.tolist()) @ cell
    squares = ((differences[:, None] + shifts) ** 2).sum(axis=2)
    # The first shift is zero; the others connect an atom with its own images, too.
    own = (shifts[1:] ** 2).sum(axis=1).min(initial=np.inf)
    return bool((squares >= limits[:, None]).all() and own >= (2 * radii.max()) ** 2)


@lru_cache(maxsize=256)
def _pairs(n_atoms: int) -> tuple[np.ndarray, np.ndarray]:
    return np.triu_indices(n_atoms, 1)


@lru_cache(maxsize=256)
def _shifts(*largest: int) -> np.ndarray:
    """Return the shifts (m, 3) by whole cells up to a number along each axis, the zero shift first."""
    ranges = [sorted(range(-most, most + 1), key=abs) for most in largest]
    return np.array(np.meshgrid(*ranges, indexing="ij"), dtype=float).reshape(3, -1).T
