"""Random crystals with the symmetry of a random space group.

After Pickard and Needs, J. Phys. Condens. Matter 23, 053201 (2011): most crystals of nature have symmetry, few of the cells
that are filled at random have. Sites are not looked up in tables: coordinates of a few atoms are random, many of them special
ones, and the group makes of each atom as many as it may.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.spacegroup import crystal
from ase.spacegroup.spacegroup import SpacegroupError

from ..generator.crystals import close_packed_volume
from ..generator.structure import keeps_distance

_SPECIAL = (0.0, 0.25, 1 / 3, 0.5, 2 / 3, 0.75)
"""Coordinates on axes and planes of symmetry."""

_SHARE_SPECIAL = 0.6
_MOST_SITES = 3
_VOLUMES = (1.0, 1.6)
"""Volume per atom relative to close packing, whose crystals are among the densest."""

_SHORTEST = 0.75
"""Shortest distance relative to the sum of covalent radii."""

_ATTEMPTS = 3000


def random_crystal(elements: Sequence[str], max_atoms: int, random: np.random.Generator) -> Atoms:
    """Return the primitive cell of a random crystal of at most so many atoms.

    :raises ValueError: if none is found.
    """
    for _ in range(_ATTEMPTS):
        cell = _attempt(elements, int(random.integers(1, 231)), random)
        if cell is None or len(cell) > max_atoms:
            continue
        volume = float(np.mean([close_packed_volume(symbol) for symbol in cell.symbols])) * random.uniform(*_VOLUMES)
        cell.set_cell(cell.cell * (volume * len(cell) / cell.get_volume()) ** (1 / 3), scale_atoms=True)
        if keeps_distance(cell, _SHORTEST):
            return cell
    raise ValueError(f"none of {_ATTEMPTS} random crystals has at most {max_atoms} atoms and keeps them apart")


def _attempt(elements: Sequence[str], group: int, random: np.random.Generator) -> Atoms | None:
    n_sites = int(random.integers(1, _MOST_SITES, endpoint=True))
    symbols = [str(symbol) for symbol in random.choice(elements, n_sites)]
    special = random.random((n_sites, 3)) < _SHARE_SPECIAL
    sites = np.where(special, random.choice(_SPECIAL, (n_sites, 3)), random.random((n_sites, 3)))
    parameters = _lattice(group, random)
    try:
        cell = crystal(symbols, sites, spacegroup=group, cellpar=parameters, onduplicates="error", primitive_cell=True)
    except SpacegroupError:
        return None
    return Atoms(cell.numbers, positions=cell.positions, cell=cell.cell, pbc=True)


def _lattice(group: int, random: np.random.Generator) -> list[float]:
    """Return random lattice parameters that a space group allows: a, b, c, alpha, beta, gamma (lengths of about 1, degrees)."""
    a, b, c = np.exp(random.uniform(-0.4, 0.4, 3))
    alpha, beta, gamma = random.uniform(65.0, 115.0, 3)
    if group <= 2:
        return [a, b, c, alpha, beta, gamma]
    if group <= 15:
        return [a, b, c, 90.0, beta, 90.0]
    if group <= 74:
        return [a, b, c, 90.0, 90.0, 90.0]
    if group <= 142:
        return [a, a, c, 90.0, 90.0, 90.0]
    if group <= 194:
        return [a, a, c, 90.0, 90.0, 120.0]
    return [a, a, a, 90.0, 90.0, 90.0]
