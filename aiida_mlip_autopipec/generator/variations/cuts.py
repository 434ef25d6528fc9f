"""Slabs and clusters that are cut out of crystals."""

from __future__ import annotations

from itertools import product
from math import gcd

import numpy as np
from ase import Atoms
from ase.build import surface

from ..crystals import height

_PLANE_GAP = 0.4
"""Atoms whose heights differ by less (Å) lie in one plane."""

_THICKNESS = (5.0, 10.0)
"""Smallest and largest thickness (Å) of a slab, as far as the number of atoms allows."""


def miller_planes(largest: int) -> list[tuple[int, int, int]]:
    """Return the Miller indices up to `largest`, without multiples; of h and -h one."""
    indices = range(-largest, largest + 1)
    planes = [hkl for hkl in product(indices, indices, indices) if any(hkl) and gcd(*hkl) == 1]
    return [hkl for hkl in planes if next(index for index in hkl if index) > 0]


def slab(
    crystal: Atoms,
    plane: tuple[int, int, int],
    max_atoms: int,
    vacuum: float,
    symmetric: bool,
    random: np.random.Generator,
) -> Atoms | None:
    """Return a slab parallel to a plane with a random termination, periodic in all directions; None if it is too large.

    :param symmetric: remove the lowest planes until both faces consist of the same elements; this changes the stoichiometry.
    """
    layer = surface(crystal, plane, 1, vacuum=None, periodic=True)
    if len(layer) > max_atoms:
        return None
    thickness = random.uniform(*_THICKNESS)
    layers = max(1, min(int(np.ceil(thickness / height(layer, 2))), max_atoms // len(layer)))
    cut = surface(crystal, plane, layers, vacuum=None, periodic=True)
    cut = _with_termination(cut, int(random.integers(len(_planes(cut)))))
    if symmetric:
        cut = _with_equal_faces(cut)
    cut.center(vacuum=vacuum / 2, axis=2)
    cut.pbc = True
    return cut


def _planes(atoms: Atoms) -> list[np.ndarray]:
    """Return the indices of the atoms of each plane, from the lowest."""
    heights = atoms.positions[:, 2]
    order = np.argsort(heights, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(heights[order]) > _PLANE_GAP) + 1)


def _with_termination(atoms: Atoms, moved: int) -> Atoms:
    """Return a slab with its lowest planes moved to the top."""
    changed = atoms.copy()
    for plane in _planes(atoms)[:moved]:
        changed.positions[plane] += atoms.cell.array[2]
    return changed


def _with_equal_faces(atoms: Atoms) -> Atoms:
    planes = _planes(atoms)
    species = [sorted(set(atoms.symbols[plane])) for plane in planes]
    for lowest in range(len(planes) - 2):
        if species[lowest] == species[-1]:
            return atoms[np.sort(np.concatenate(planes[lowest:]))]
    return atoms


def cluster(crystal: Atoms, size: int, random: np.random.Generator) -> Atoms:
    """Return the atoms of a crystal that are nearest to a random point, not periodic."""
    spacing = (crystal.get_volume() / len(crystal)) ** (1 / 3)
    reach = size ** (1 / 3) * 1.5 * spacing
    large = crystal.repeat([int(2 * np.ceil(reach / height(crystal, axis))) + 1 for axis in range(3)])
    centre = large.cell.array.sum(axis=0) / 2 + random.uniform(-0.5, 0.5, 3) @ crystal.cell.array
    nearest = np.argsort(np.linalg.norm(large.positions - centre, axis=1), kind="stable")[:size]
    return Atoms(large.numbers[nearest], positions=large.positions[nearest])
