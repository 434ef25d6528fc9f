"""Variations of molecules: conformers, stretched bonds and pairs."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

_STRETCH = (0.85, 1.6)
"""Range of the length of a bond relative to that in the given molecule."""

_BOND = 1.25
"""Atoms closer than this multiple of the sum of their covalent radii are bonded."""


def stretched(molecule: Atoms, random: np.random.Generator) -> Atoms:
    """Return a molecule with a random bond stretched; the atoms bonded to one of its ends move with it, unless it is in a
    ring."""
    first, second = neighbor_list("ij", molecule, list(covalent_radii[molecule.numbers] * _BOND))
    changed = molecule.copy()
    if not len(first):
        return changed
    bond = int(random.integers(len(first)))
    i, j = int(first[bond]), int(second[bond])
    others = ~(((first == i) & (second == j)) | ((first == j) & (second == i)))
    graph = coo_matrix((np.ones(others.sum()), (first[others], second[others])), shape=(len(molecule),) * 2)
    part = connected_components(graph, directed=False)[1]
    moved = part == part[j] if part[i] != part[j] else np.arange(len(molecule)) == j
    changed.positions[moved] += (molecule.positions[j] - molecule.positions[i]) * (random.uniform(*_STRETCH) - 1.0)
    return changed


def pair(first: Atoms, second: Atoms, random: np.random.Generator) -> Atoms:
    """Return two molecules at random orientations; atoms of different molecules are at least 1 to 3 times (a
    random factor) the sum of their covalent radii apart."""
    one, other = _turned(first, random), _turned(second, random)
    direction = random.normal(size=3)
    direction /= np.linalg.norm(direction)
    reach = covalent_radii[one.numbers][:, None] + covalent_radii[other.numbers]
    wanted = random.uniform(1.0, 3.0) * reach
    step = 0.0
    while (np.linalg.norm(one.positions[:, None] - other.positions - step * direction, axis=2) < wanted).any():
        step += 0.1
    other.positions += step * direction
    return Atoms([*one.numbers, *other.numbers], positions=np.vstack([one.positions, other.positions]))


def _turned(molecule: Atoms, random: np.random.Generator) -> Atoms:
    turned = Atoms(molecule.numbers, positions=molecule.positions - molecule.positions.mean(axis=0))
    turned.euler_rotate(*random.uniform(0, 360, 3))
    return turned
