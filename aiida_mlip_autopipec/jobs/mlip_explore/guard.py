"""A calculator that rejects unphysical structures before the potential is evaluated."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.data import covalent_radii

from .sampler import Limits

_SKIN = 2.0
"""Å; added to the radius of a cluster when its volume is estimated."""


class UnphysicalError(Exception):
    """An unphysical structure or prediction; `kind` is the stop reason of the sampler."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class GuardedCalculator(Calculator):
    """Evaluates a potential; raises an `UnphysicalError` for unphysical structures and predictions.

    As a calculator it also stops inside the step of an optimiser or integrator. With positions that are not finite, or in a
    collapsed cell, the evaluation of the potential itself may never end or exhaust the memory.
    """

    implemented_properties = ["energy", "free_energy", "forces", "stress"]

    def __init__(self, calculator: Any, start: Atoms, limits: Limits) -> None:
        super().__init__()
        self._calculator, self._limits = calculator, limits
        self._size = size_of(start)

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Evaluate all properties and the extrapolation grades together.

        :raises UnphysicalError: if the structure or a prediction is unphysical.
        """
        super().calculate(atoms, properties, system_changes)
        self.results = {}
        self._check_geometry(self.atoms)
        self._calculator.calculate(self.atoms)
        results = dict(self._calculator.results)
        values = [results[name] for name in ("energy", "forces", "stress") if name in results]
        if not all(np.isfinite(value).all() for value in values):
            raise UnphysicalError("not_finite", "the potential's energy, forces or stress are not finite")
        self.results = results

    def _check_geometry(self, atoms: Atoms) -> None:
        if not (np.isfinite(atoms.positions).all() and np.isfinite(atoms.cell.array).all()):
            raise UnphysicalError("not_finite", "positions are not finite")
        growth, largest = size_of(atoms) / self._size, self._limits.expansion
        if not 1 / largest <= growth <= largest:
            raise UnphysicalError("volume", f"the volume is {growth:.3g} times that of the start")
        if too_close(atoms, self._limits.min_distance_fraction):
            raise UnphysicalError(
                "too_close",
                f"atoms are closer than {self._limits.min_distance_fraction:g} times the sum of their covalent radii",
            )


def size_of(atoms: Atoms) -> float:
    """Return the volume (Å^3) of the cell, or for a cluster the cube of the sum of its radius and a margin."""
    if atoms.pbc.all():
        return float(atoms.get_volume())
    reach = np.linalg.norm(atoms.positions - atoms.positions.mean(axis=0), axis=1).max()
    return float((reach + _SKIN) ** 3)


def too_close(atoms: Atoms, fraction: float) -> bool:
    """Return whether two atoms, or an atom and its image, are closer than a fraction of the sum of their covalent radii.

    This is a hundred times faster than ASE's neighbour lists for small cells.
    """
    radii = covalent_radii[atoms.numbers] * fraction
    limits = radii[:, None] + radii[None, :]
    vectors = atoms.positions[:, None] - atoms.positions[None, :]
    images = np.zeros((1, 3))
    if atoms.pbc.all():
        cell = atoms.cell.array
        inverse = np.linalg.inv(cell)
        scaled = vectors @ inverse
        vectors = (scaled - np.round(scaled)) @ cell
        # Number of images to check along each axis: 1 / |column| is the height of the cell.
        far = np.floor(limits.max() * np.linalg.norm(inverse, axis=0) + 0.5).astype(int)
        images = np.array(list(itertools.product(*(range(-n, n + 1) for n in far)))) @ cell
    for image in images:
        distances = np.linalg.norm(vectors + image, axis=-1)
        if not image.any():
            np.fill_diagonal(distances, np.inf)
        if (distances < limits).any():
            return True
    return False
