"""Symmetry of crystals by spglib: standard cells, inequivalent sites and directions, symmetric elastic tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms

from ..dataset.trajectory import sort_by_species
from .measurement import NotMeasurableError

SYMMETRY_TOLERANCE = 1e-3
"""Tolerance (Å) of symmetry."""

_VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
_UPPER = [(i, j) for i in range(6) for j in range(i, 6)]


def standard_primitive(atoms: Atoms, tolerance: float = SYMMETRY_TOLERANCE) -> Atoms:
    """Return the primitive cell in the standard orientation of spglib, with atoms sorted by element.

    :param tolerance: in Å.
    :raises NotMeasurableError: if no symmetry is found.
    """
    return _standardized(atoms, True, tolerance)


def conventional(atoms: Atoms) -> Atoms:
    """Return the standard conventional cell.

    :raises NotMeasurableError: if no symmetry is found.
    """
    return _standardized(atoms, False, SYMMETRY_TOLERANCE)


def _standardized(atoms: Atoms, to_primitive: bool, tolerance: float) -> Atoms:
    import spglib

    cell = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
    found = spglib.standardize_cell(cell, to_primitive=to_primitive, no_idealize=False, symprec=tolerance)
    if found is None:
        raise NotMeasurableError("no symmetry is found; atoms may be too close")
    vectors, positions, numbers = found
    return sort_by_species(Atoms(numbers, scaled_positions=positions, cell=vectors, pbc=True))


def symmetry_of(atoms: Atoms) -> Any:
    """Return the data set of spglib."""
    import spglib

    return spglib.get_symmetry_dataset(
        (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers), SYMMETRY_TOLERANCE
    )


def sites_of(crystal: Atoms) -> dict[str, int]:
    """Return an atom of each set of equivalent sites, by element and, if an element has several, a number."""
    equivalent = symmetry_of(crystal).equivalent_atoms
    firsts = sorted(set(equivalent.tolist()))
    symbols = [crystal.symbols[first] for first in firsts]
    labels = [f"{s}{symbols[:n].count(s) + 1}" if symbols.count(s) > 1 else s for n, s in enumerate(symbols)]
    return dict(zip(labels, firsts, strict=True))


def equivalent_directions(atoms: Atoms, vectors: np.ndarray) -> list[int]:
    """Return the index of the first vector that is equal to each vector by the point group of a cell.

    :param vectors: (n, 3) reciprocal vectors in units of those of the cell.
    """
    rotations = symmetry_of(atoms).rotations
    firsts: list[int] = []
    for number, vector in enumerate(vectors):
        images = {tuple(sign * image) for image in np.einsum("rij,i->rj", rotations, vector) for sign in (1, -1)}
        first = next((other for other in sorted(set(firsts)) if tuple(vectors[other]) in images), number)
        firsts.append(first)
    return firsts


def cartesian_rotations(crystal: Atoms) -> np.ndarray:
    """Return the point group as Cartesian rotations (n, 3, 3)."""
    vectors = crystal.cell.array.T
    return np.array([vectors @ rotation @ np.linalg.inv(vectors) for rotation in symmetry_of(crystal).rotations])


def symmetrised(tensor: np.ndarray, rotations: np.ndarray) -> np.ndarray:
    """Return an elastic tensor (6, 6) in Voigt notation averaged over rotations (n, 3, 3)."""
    full = np.empty((3, 3, 3, 3))
    for a, (i, j) in enumerate(_VOIGT):
        for b, (k, l) in enumerate(_VOIGT):
            full[i, j, k, l] = full[j, i, k, l] = full[i, j, l, k] = full[j, i, l, k] = tensor[a, b]
    mean = np.mean([np.einsum("ai,bj,ck,dl,ijkl->abcd", r, r, r, r, full, optimize=True) for r in rotations], axis=0)
    return np.array([[mean[i, j, k, l] for k, l in _VOIGT] for i, j in _VOIGT])


def independent_constants(rotations: np.ndarray) -> dict[str, tuple[int, int]]:
    """Return the independent elastic constants under rotations, which determine the whole tensor, in the usual order.

    A constant is independent of the earlier ones if it is not a linear combination of them in a tensor averaged over the
    rotations.
    """
    images = []
    for i, j in _UPPER:
        unit = np.zeros((6, 6))
        unit[i, j] = unit[j, i] = 1.0
        images.append(symmetrised(unit, rotations)[tuple(np.array(_UPPER).T)])
    # A column is the averaged tensor of one constant, as its entries.
    projection = np.array(images).T
    chosen: list[int] = []
    for row in _USUAL:
        trial = [*chosen, row]
        if np.linalg.matrix_rank(projection[trial], tol=1e-6) == len(trial):
            chosen = trial
    return {f"C{_UPPER[row][0] + 1}{_UPPER[row][1] + 1}": _UPPER[row] for row in sorted(chosen)}


_USUAL = [_UPPER.index(index) for index in ((0, 0), (0, 1), (3, 3), (0, 2), (2, 2), (5, 5), (1, 1), (1, 2), (4, 4))]
_USUAL += [row for row in range(len(_UPPER)) if row not in _USUAL]
"""Order in which constants are chosen: that of textbooks for cubic, hexagonal, tetragonal, orthorhombic crystals."""
