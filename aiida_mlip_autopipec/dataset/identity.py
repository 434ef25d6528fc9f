"""Identity of structures and of reference methods, by which existing labels are found and reused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b

import numpy as np
from ase import Atoms

PRECISION = 1e-6
"""Coordinates (Å) that differ by less are equal: too small to change an energy, larger than rounding errors."""


def structure_key(atoms: Atoms) -> str:
    """Return a short hash of species, periodicity, cell and positions, rounded to :data:`PRECISION`.

    Unlike the :mod:`~.fingerprint` it changes with the orientation and the choice of the cell, because the components
    of the forces change too. Different structures may share a key: compare them by :func:`is_same_structure`.
    """
    digest = blake2b(atoms.numbers.astype("<i4").tobytes() + np.asarray(atoms.pbc, dtype="u1").tobytes(), digest_size=8)
    for array in (atoms.cell.array, atoms.positions):
        # Adding 0 makes -0 and 0 the same bytes.
        digest.update((np.rint(array / PRECISION) + 0.0).astype("<f8").tobytes())
    return digest.hexdigest()


def is_same_structure(first: Atoms, second: Atoms) -> bool:
    """Tell whether two structures are the same, atom by atom, to within :data:`PRECISION`."""
    return (
        np.array_equal(first.numbers, second.numbers)
        and np.array_equal(first.pbc, second.pbc)
        and bool(np.abs(first.cell.array - second.cell.array).max() <= PRECISION)
        and bool(np.abs(first.positions - second.positions).max(initial=0.0) <= PRECISION)
    )


def method_id(method: Mapping[str, object]) -> str:
    """Return a hash of the settings of a method, independent of the order of its keys."""
    text = json.dumps(method, sort_keys=True, separators=(",", ":"))
    return blake2b(text.encode(), digest_size=16).hexdigest()
