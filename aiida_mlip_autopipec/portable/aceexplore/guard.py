"""A calculator that refuses structures that are no matter any more, before they can harm the evaluator."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.data import covalent_radii

from .walker import Limits

_SKIN = 2.0
"""Å around a cluster that belong to it when its size is measured."""


class UnphysicalError(Exception):
    """A structure, or what the potential says of it, that makes no sense."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Guard(Calculator):
    """Evaluates a potential; raises an `UnphysicalError` instead of an answer that makes no sense.

    Also inside an optimiser's or integrator's step, so that no step is taken from there. Positions that are not finite, and
    cells that have collapsed, can make the evaluator itself run for ever or out of memory.
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
        """Evaluate all properties at once, the extrapolation grades among them."""
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
            raise UnphysicalError("volume", f"it has {growth:.3g} times the volume it started with")
        if too_close(atoms, self._limits.min_distance_fraction):
            raise UnphysicalError(
                "too_close", f"atoms are closer than {self._limits.min_distance_fraction:g} of their covalent radii"
            )


def size_of(atoms: Atoms) -> float:
    """Return the volume (Å^3) of the cell; of a cluster, that of the cube that its farthest atom reaches."""
    if atoms.pbc.all():
        return float(atoms.get_volume())
    reach = np.linalg.norm(atoms.positions - atoms.positions.mean(axis=0), axis=1).max()
    return float((reach + _SKIN) ** 3)


def too_close(atoms: Atoms, fraction: float) -> bool:
    """Tell whether two atoms, or an atom and its own image, are closer than a part of the sum of their covalent radii.

    ASE's neighbour lists take a hundred times as long on small cells.
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
        # Of vectors within half a cell, images so far away can be within the limit: 1 / |column| is the cell's height.
        far = np.floor(limits.max() * np.linalg.norm(inverse, axis=0) + 0.5).astype(int)
        images = np.array(list(itertools.product(*(range(-n, n + 1) for n in far)))) @ cell
    for image in images:
        distances = np.linalg.norm(vectors + image, axis=-1)
        if not image.any():
            np.fill_diagonal(distances, np.inf)
        if (distances < limits).any():
            return True
    return False
