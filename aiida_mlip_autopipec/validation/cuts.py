"""Slabs of crystals in the smallest cells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import numpy as np
from ase import Atoms
from ase.build import surface

from ..generator.crystals import height
from .symmetry import SYMMETRY_TOLERANCE


def slab(crystal: Atoms, index: Sequence[int], thickness: float, vacuum: float) -> Atoms:
    """Return the slab of the smallest cell parallel to a plane, cut where the gap between atomic planes is widest.

    It consists of whole cells of the crystal: its composition is that of the crystal. It is periodic in all directions, with
    the third cell vector along the normal.

    :param index: Miller indices (3,) of the conventional cell `crystal`.
    :param thickness: smallest thickness in Å, at least two cells.
    :param vacuum: in Å.
    """
    shifted = shift_to_widest_gap(crystal, index)
    single = surface(shifted, tuple(index), 1, periodic=True)
    layers = max(2, math.ceil(thickness / height(single, 2)))
    cut = surface(shifted, tuple(index), layers, periodic=True)
    cut.center(vacuum=vacuum / 2, axis=2)
    return smallest(cut)


def shift_to_widest_gap(crystal: Atoms, index: Sequence[int]) -> Atoms:
    """Return a crystal shifted so that a surface cuts it in the widest gap between atomic planes, as in (111) of diamond."""
    normal = np.array(index) @ np.linalg.inv(crystal.cell.array).T
    cut = middle_of_widest_gap(crystal.positions @ normal)
    shifted = crystal.copy()
    shifted.translate(-cut * normal / (normal @ normal))
    return shifted


def smallest(slab: Atoms) -> Atoms:
    """Return the smallest cell of a slab, with its third vector along the normal: vacuum separates its images."""
    import spglib

    upright = _upright(slab.numbers, slab.positions, slab.cell.array)
    cell = (upright.cell.array, upright.get_scaled_positions(), upright.numbers)
    found = spglib.standardize_cell(cell, to_primitive=True, no_idealize=True, symprec=SYMMETRY_TOLERANCE)
    if found is None:
        return upright
    vectors, positions, numbers = (np.asarray(each) for each in found)
    normal = upright.cell.array[2] / upright.cell.lengths()[2]
    in_plane = np.abs(vectors @ normal) < SYMMETRY_TOLERANCE
    if in_plane.sum() != 2:
        return upright
    order = [*np.flatnonzero(in_plane), *np.flatnonzero(~in_plane)]
    cartesian = positions @ vectors
    return _upright(numbers, cartesian, vectors[order])


def _upright(numbers: np.ndarray, positions: np.ndarray, vectors: np.ndarray) -> Atoms:
    normal = np.cross(vectors[0], vectors[1])
    normal /= np.linalg.norm(normal)
    height = float(abs(vectors[2] @ normal))
    # An atom beyond the cell belongs to an image of the slab, which is shifted by the whole third vector.
    third = vectors[2] if vectors[2] @ normal > 0 else -vectors[2]
    images = np.floor(positions @ normal / height + 1e-9)
    return Atoms(
        numbers, positions=positions - images[:, None] * third, cell=[vectors[0], vectors[1], height * normal], pbc=True
    )


def miller_indices(largest: int) -> np.ndarray:
    """Return all Miller indices (n, 3) without common divisor, simple positive ones first."""
    found = [index for index in product(range(-largest, largest + 1), repeat=3) if math.gcd(*index) == 1]
    return np.array(sorted(found, key=lambda index: (sum(map(abs, index)), tuple(-value for value in index))))


def index_text(index: Sequence[int]) -> str:
    """Return Miller indices as text, such as 1-10."""
    return "".join(str(value) if value >= 0 else f"-{-value}" for value in (int(value) for value in index))


def middle_of_widest_gap(heights: np.ndarray) -> float:
    """Return the middle of the widest gap between periodic heights (n,) of period 1."""
    ordered = np.sort(heights % 1.0)
    gaps = np.diff([*ordered, ordered[0] + 1])
    widest = int(np.argmax(gaps.round(6)))
    return float(ordered[widest] + gaps[widest] / 2)
