"""Energies of relaxed surfaces, and the shape of a crystal in equilibrium."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ase import Atoms

from ..config.schemas.properties import SurfaceSettings
from ..validation.cuts import index_text, miller_indices, slab
from ..validation.symmetry import conventional, equivalent_directions
from .crystals import energy, relax_positions
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
        indices = miller_indices(self.settings.max_index)
        firsts = equivalent_directions(crystal, indices)
        energies: dict[int, float] = {}
        notes = []
        for first in sorted(set(firsts)):
            try:
                energies[first] = self._energy(crystal, tuple(indices[first]), per_atom, calculator)
            except NotComputableError as error:
                notes.append(f"({index_text(indices[first])}): {error}")
        values = [Value(f"({index_text(indices[n])}) surface energy", value, "J/m^2") for n, value in energies.items()]
        if not energies or min(energies.values()) <= 0:
            return Result(
                self.name, name, values, notes=[*notes, "no Wulff shape: an energy is missing or not positive"]
            )
        known = [n for n, first in enumerate(firsts) if first in energies]
        normals = indices[known] @ np.linalg.inv(crystal.cell.array).T
        faces = wulff_shape(normals, [energies[firsts[n]] for n in known])
        by_label: dict[str, list[np.ndarray]] = {}
        for number, corners in faces.items():
            by_label.setdefault(f"({index_text(indices[firsts[known[number]]])})", []).append(corners)
        areas = {label: sum(_area(corners) for corners in found) for label, found in by_label.items()}
        total = sum(areas.values())
        values += [Value(f"{label} fraction of the Wulff shape", area / total, "") for label, area in areas.items()]
        mean = sum(_area(corners) / total * energies[firsts[known[number]]] for number, corners in faces.items())
        values.append(Value("mean surface energy of the Wulff shape", mean, "J/m^2"))
        return Result(self.name, name, values, [Plot("Wulff shape", faces=by_label)], notes)

    def _energy(self, crystal: Atoms, index: tuple[int, ...], per_atom: float, calculator: Any) -> float:
        cut = slab(crystal, index, self.settings.thickness, self.settings.vacuum)
        relaxed = relax_positions(cut, calculator, self.settings.max_force)
        area = float(np.linalg.norm(np.cross(relaxed.cell[0], relaxed.cell[1])))
        return (energy(relaxed, calculator) - len(relaxed) * per_atom) / (2 * area) * _J_PER_M2


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
