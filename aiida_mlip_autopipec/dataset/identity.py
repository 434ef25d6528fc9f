"""When a label that exists need not be computed again: the same structure, and the same method."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b

import numpy as np
from ase import Atoms

PRECISION = 1e-6
"""Coordinates (Å) that differ by less are the same: far below what moves an energy, far above rounding."""


def structure_key(atoms: Atoms) -> str:
    """Return a short hash of species, periodicity, cell and positions, rounded to :data:`PRECISION`.

    Unlike the :mod:`~.fingerprint` it changes when the structure is turned or its cell is chosen otherwise, for then the
    forces are other numbers. Different structures may share a key: :func:`is_same_structure` decides.
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
    """Return a hash of the settings of a method: whatever the order of its keys."""
    text = json.dumps(method, sort_keys=True, separators=(",", ":"))
    return blake2b(text.encode(), digest_size=16).hexdigest()
