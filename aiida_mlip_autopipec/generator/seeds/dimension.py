"""What a structure is: a crystal, a slab, a chain or a molecule."""

from __future__ import annotations

from typing import Literal

import numpy as np
from ase import Atoms

from ..crystals import height

Kind = Literal["crystal", "slab", "chain", "molecule"]

VACUUM = 5.5
"""Smallest empty gap (Å) along a cell vector that separates a structure from its images."""

_KINDS: tuple[Kind, ...] = ("molecule", "chain", "slab", "crystal")


def connected_directions(atoms: Atoms) -> np.ndarray:
    """Return for each cell vector whether the structure continues along it (3,): it is periodic and has no vacuum."""
    return np.array([bool(atoms.pbc[axis]) and _gap(atoms, axis) < VACUUM for axis in range(3)])


def kind_of(atoms: Atoms) -> Kind:
    """Return what a structure is, by the number of directions along which it continues."""
    return _KINDS[int(connected_directions(atoms).sum())]


def _gap(atoms: Atoms, axis: int) -> float:
    """Return the widest gap (Å) between atoms along the normal of a face of the cell."""
    whole = height(atoms, axis)
    along = np.sort(atoms.get_scaled_positions(wrap=True)[:, axis])
    return float(np.diff([*along, along[0] + 1.0]).max() * whole) if len(along) > 1 else whole
