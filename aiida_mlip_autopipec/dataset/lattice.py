"""Compact cell vectors of a lattice."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
from ase import Atoms

_COMPACT = 1.5
"""Product of the lengths of the cell vectors over the volume above which a cell is reduced (1.41 for primitive fcc)."""

_SWEEPS = 200
"""Maximum number of sweeps of the reduction. A few suffice; the maximum guards against endless rounding errors."""


def compact_lattice(atoms: Atoms) -> np.ndarray:
    """Return the periodic cell vectors (p, 3) of the same lattice, reduced if they are skewed, in Å.

    :raises ValueError: if the structure is periodic along a direction without a cell vector of its own.
    """
    vectors = atoms.cell.array[atoms.pbc]
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    content = (
        abs(np.linalg.det(vectors)) if len(vectors) == 3 else np.sqrt(max(np.linalg.det(vectors @ vectors.T), 0.0))
    )
    if not content > 1e-8 * np.prod(lengths):
        raise ValueError(
            f"{atoms.get_chemical_formula()}: periodic in {len(vectors)} directions, "
            f"but its cell vectors {vectors.tolist()} do not span as many"
        )
    return vectors if np.prod(lengths) <= _COMPACT * content else _reduce(vectors)


def _reduce(vectors: np.ndarray) -> np.ndarray:
    """Return a Minkowski-reduced basis (p, 3) of the lattice, p <= 3: no vector is longer than its sum with others.

    Pairs are reduced as in Lagrange's algorithm; in three dimensions the sums of all three remain to be tried (P. Q.
    Nguyen and D. Stehlé, "Low-dimensional lattice basis reduction revisited", ACM Trans. Algorithms 5, 46 (2009)).
    """
    basis = list(vectors)
    for _ in range(_SWEEPS):
        changed = False
        for first, second in permutations(range(len(basis)), 2):
            ratio = (basis[first] @ basis[second]) / (basis[second] @ basis[second])
            if abs(ratio) > 0.5 + 1e-9:
                basis[first] = basis[first] - np.rint(ratio) * basis[second]
                changed = True
        if not changed and len(basis) == 3:
            longest = max(range(3), key=lambda index: float(basis[index] @ basis[index]))
            sums = [basis[0] + i * basis[1] + j * basis[2] for i, j in product((1.0, -1.0), repeat=2)]
            shortest = min(sums, key=lambda vector: float(vector @ vector))
            if shortest @ shortest < (1.0 - 1e-9) * (basis[longest] @ basis[longest]):
                basis[longest] = shortest
                changed = True
        if not changed:
            break
    return np.array(basis)
