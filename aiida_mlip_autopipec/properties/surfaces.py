"""Energies of relaxed surfaces, and the shape of a crystal in equilibrium."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import surface

from ..config.schemas.properties import SurfaceSettings
from ..generator.crystals import height
from .crystals import SYMMETRY, conventional, energy, equivalent_directions, middle_of_widest_gap, relax_positions
from .model import NotComputableError, Plot, Property, Result, Value

_J_PER_M2 = 16.02176634
"""J/m^2 per eV/Å^2."""


class Surfaces(Property):
    """Relaxed surface energies up to a Miller index, and the Wulff shape (Z. Kristallogr. 34, 449 (1901))."""

    name = "surfaces"
    Settings = SurfaceSettings

    def measure(self, name: str, structures: Mapping[str, Atoms], calculator: Any) -> Result:
        """Return the surface energies (J/m^2), their mean over the Wulff shape, the fractions of the area, and the shape."""
        crystal = conventional(structures[name])
        per_atom = energy(crystal, calculator) / len(crystal)
        indices = _miller_indices(self.settings.max_index)
        firsts = equivalent_directions(crystal, indices)
        energies: dict[int, float] = {}
        notes = []
        for first in sorted(set(firsts)):
            try:
                energies[first] = self._energy(crystal, tuple(indices[first]), per_atom, calculator)
            except NotComputableError as error:
                notes.append(f"({_text(indices[first])}): {error}")
        values = [Value(f"({_text(indices[n])}) surface energy", value, "J/m^2") for n, value in energies.items()]
        if not energies or min(energies.values()) <= 0:
            return Result(
                self.name, name, values, notes=[*notes, "no Wulff shape: an energy is missing or not positive"]
            )
        known = [n for n, first in enumerate(firsts) if first in energies]
        normals = indices[known] @ np.linalg.inv(crystal.cell.array).T
        faces = wulff_shape(normals, [energies[firsts[n]] for n in known])
        by_label: dict[str, list[np.ndarray]] = {}
        for number, corners in faces.items():
            by_label.setdefault(f"({_text(indices[firsts[known[number]]])})", []).append(corners)
        areas = {label: sum(_area(corners) for corners in found) for label, found in by_label.items()}
        total = sum(areas.values())
        values += [Value(f"{label} fraction of the Wulff shape", area / total, "") for label, area in areas.items()]
        mean = sum(_area(corners) / total * energies[firsts[known[number]]] for number, corners in faces.items())
        values.append(Value("mean surface energy of the Wulff shape", mean, "J/m^2"))
        return Result(self.name, name, values, [Plot("Wulff shape", faces=by_label)], notes)

    def _energy(self, crystal: Atoms, index: tuple[int, ...], per_atom: float, calculator: Any) -> float:
        crystal = _cut_fewest_bonds(crystal, index)
        single = surface(crystal, index, 1, periodic=True)
        layers = max(2, math.ceil(self.settings.thickness / height(single, 2)))
        slab = surface(crystal, index, layers, periodic=True)
        slab.center(vacuum=self.settings.vacuum / 2, axis=2)
        relaxed = relax_positions(_smallest(slab), calculator, self.settings.max_force)
        area = float(np.linalg.norm(np.cross(relaxed.cell[0], relaxed.cell[1])))
        return (energy(relaxed, calculator) - len(relaxed) * per_atom) / (2 * area) * _J_PER_M2


def _cut_fewest_bonds(crystal: Atoms, index: tuple[int, ...]) -> Atoms:
    """Return a crystal shifted so that a surface cuts it in the widest gap between atomic planes, as in (111) of diamond."""
    normal = np.array(index) @ np.linalg.inv(crystal.cell.array).T
    cut = middle_of_widest_gap(crystal.positions @ normal)
    shifted = crystal.copy()
    shifted.translate(-cut * normal / (normal @ normal))
    return shifted


def _smallest(slab: Atoms) -> Atoms:
    """Return the smallest cell of a slab, with its third vector along the normal: vacuum separates its images."""
    import spglib

    upright = _upright(slab.numbers, slab.positions, slab.cell.array)
    cell = (upright.cell.array, upright.get_scaled_positions(), upright.numbers)
    found = spglib.standardize_cell(cell, to_primitive=True, no_idealize=True, symprec=SYMMETRY)
    if found is None:
        return upright
    vectors, positions, numbers = (np.asarray(each) for each in found)
    normal = upright.cell.array[2] / upright.cell.lengths()[2]
    in_plane = np.abs(vectors @ normal) < SYMMETRY
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


def _miller_indices(largest: int) -> np.ndarray:
    """Return all Miller indices (n, 3) without common divisor, simple positive ones first."""
    found = [index for index in product(range(-largest, largest + 1), repeat=3) if math.gcd(*index) == 1]
    return np.array(sorted(found, key=lambda index: (sum(map(abs, index)), tuple(-value for value in index))))


def wulff_shape(normals: np.ndarray, energies: Sequence[float]) -> dict[int, np.ndarray]:
    """Return the faces of a Wulff shape: the corners (n, 3) in order, by the number of the plane.

    :param normals: (m, 3) of any length; planes lie at distances equal to their energies.
    """
    from scipy.spatial import HalfspaceIntersection

    units = normals / np.linalg.norm(normals, axis=1)[:, None]
    corners = HalfspaceIntersection(np.column_stack([units, -np.array(energies)]), np.zeros(3)).intersections
    corners = np.unique(np.round(corners, 9), axis=0)
    faces = {}
    for number, (unit, distance) in enumerate(zip(units, energies, strict=True)):
        on_plane = corners[np.abs(corners @ unit - distance) < 1e-6 * max(energies)]
        if len(on_plane) >= 3:
            ordered = _in_order(on_plane, unit)
            if _area(ordered) > 1e-9:
                faces[number] = ordered
    return faces


def _in_order(corners: np.ndarray, normal: np.ndarray) -> np.ndarray:
    centre = corners.mean(axis=0)
    first = corners[np.argmax(np.linalg.norm(corners - centre, axis=1))] - centre
    second = np.cross(normal, first)
    angles = np.arctan2((corners - centre) @ second, (corners - centre) @ first)
    return np.asarray(corners[np.argsort(angles)])


def _area(corners: np.ndarray) -> float:
    centre = corners.mean(axis=0)
    following = np.roll(corners, -1, axis=0)
    return float(np.linalg.norm(np.cross(corners - centre, following - centre), axis=1).sum() / 2)


def _text(index: Sequence[int]) -> str:
    return "".join(str(value) if value >= 0 else f"-{-value}" for value in (int(value) for value in index))
