"""Random crystals with the symmetry of a random space group.

After Pickard and Needs, J. Phys. Condens. Matter 23, 053201 (2011): most natural crystals are symmetric, but few randomly
filled cells are. A few atoms get random coordinates, many of them special values such as 0 or 1/2, and the operations of the
space group generate the equivalent atoms. No table of Wyckoff positions is needed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.spacegroup import crystal
from ase.spacegroup.spacegroup import SpacegroupError

from ..generator.crystals import close_packed_volume
from ..generator.structure import keeps_distance

_SPECIAL_COORDINATES = (0.0, 0.25, 1 / 3, 0.5, 2 / 3, 0.75)
"""Fractional coordinates of symmetry axes and planes."""

_SPECIAL_FRACTION = 0.6
_MAX_SITES = 3
_VOLUME_RANGE = (1.0, 1.6)
"""Range of the volume per atom relative to close packing."""

_MIN_DISTANCE = 0.75
"""Shortest distance relative to the sum of covalent radii."""

_ATTEMPTS = 3000


def random_crystal(elements: Sequence[str], max_atoms: int, random: np.random.Generator) -> Atoms:
    """Return the primitive cell of a random crystal with at most `max_atoms` atoms.

    :raises ValueError: if no attempt succeeds.
    """
    for _ in range(_ATTEMPTS):
        cell = _random_symmetric_cell(elements, int(random.integers(1, 231)), random)
        if cell is None or len(cell) > max_atoms:
            continue
        volume = float(np.mean([close_packed_volume(symbol) for symbol in cell.symbols])) * random.uniform(
            *_VOLUME_RANGE
        )
        cell.set_cell(cell.cell * (volume * len(cell) / cell.get_volume()) ** (1 / 3), scale_atoms=True)
        if keeps_distance(cell, _MIN_DISTANCE):
            return cell
    raise ValueError(f"none of {_ATTEMPTS} random crystals has at most {max_atoms} atoms without overlap")


def _random_symmetric_cell(elements: Sequence[str], group: int, random: np.random.Generator) -> Atoms | None:
    n_sites = int(random.integers(1, _MAX_SITES, endpoint=True))
    symbols = [str(symbol) for symbol in random.choice(elements, n_sites)]
    special = random.random((n_sites, 3)) < _SPECIAL_FRACTION
    sites = np.where(special, random.choice(_SPECIAL_COORDINATES, (n_sites, 3)), random.random((n_sites, 3)))
    parameters = _lattice_parameters(group, random)
    try:
        cell = crystal(symbols, sites, spacegroup=group, cellpar=parameters, onduplicates="error", primitive_cell=True)
    except SpacegroupError:
        return None
    return Atoms(cell.numbers, positions=cell.positions, cell=cell.cell, pbc=True)


def _lattice_parameters(group: int, random: np.random.Generator) -> list[float]:
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
