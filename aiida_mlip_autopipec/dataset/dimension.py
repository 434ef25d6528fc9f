"""The dimensionality of a structure: crystal, slab, chain or molecule."""

from __future__ import annotations

from typing import Literal

import numpy as np
from ase import Atoms
from ase.data import covalent_radii

Dimensionality = Literal["crystal", "slab", "chain", "molecule"]

MIN_VACUUM_GAP = 5.5
"""Smallest empty gap (Å) along a cell vector that separates a structure from its images."""

_IN_DIAMETERS = 1.5
"""Smallest such gap in units of the largest covalent diameter: stretched crystals of large atoms have wide gaps, too."""

BOX_MARGIN = 7.0
"""Space (Å) around molecules and clusters on every side of their box."""

_BY_N_DIRECTIONS: tuple[Dimensionality, ...] = ("molecule", "chain", "slab", "crystal")


def connected_directions(atoms: Atoms) -> np.ndarray:
    """Return for each cell vector whether the structure continues along it (3,): it is periodic and has no vacuum."""
    vacuum = max(MIN_VACUUM_GAP, _IN_DIAMETERS * 2 * float(covalent_radii[atoms.numbers].max(initial=0.0)))
    return np.array([bool(atoms.pbc[axis]) and _gap(atoms, axis) < vacuum for axis in range(3)])


def dimensionality_of(atoms: Atoms) -> Dimensionality:
    """Return the dimensionality of a structure, from the number of directions along which it continues."""
    return _BY_N_DIRECTIONS[int(connected_directions(atoms).sum())]


def in_periodic_cell(atoms: Atoms, vacuum: float) -> Atoms:
    """Return the structure in a periodic cell, with vacuum along the directions in which it is not periodic.

    Atoms keep their order and, up to a common shift, their positions, so forces need no conversion.

    :param vacuum: in Å, on each side.
    """
    periodic = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    if not atoms.pbc.all():
        periodic.cell[~atoms.pbc] = 0.0
        periodic.center(vacuum=vacuum, axis=tuple(np.flatnonzero(~atoms.pbc).tolist()))
        periodic.pbc = True
    return periodic


def _gap(atoms: Atoms, axis: int) -> float:
    """Return the widest gap (Å) between atoms along the normal of a face of the cell."""
    whole = float(1.0 / np.linalg.norm(np.linalg.inv(atoms.cell.complete().array)[:, axis]))
    along = np.sort(atoms.get_scaled_positions(wrap=True)[:, axis])
    return float(np.diff([*along, along[0] + 1.0]).max() * whole) if len(along) > 1 else whole
