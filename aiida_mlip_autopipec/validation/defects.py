"""Unrelaxed vacancies and surfaces: the atoms stay at the sites of the perfect crystal."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import (
    bcc100,
    bcc110,
    bcc111,
    diamond100,
    diamond111,
    fcc100,
    fcc110,
    fcc111,
    hcp0001,
    surface,
)

from ..generator.crystals import supercell
from .crystals import SizedCrystal
from .equation_of_state import equilibrium_name
from .measurement import Labels, Measurement, NotMeasurableError, Quantity, energy_of, energy_per_atom

VACUUM = 12.0
"""Vacuum (Å) between slabs."""

_EV_PER_A2_IN_J_PER_M2 = 16.02176634

_BUILDERS: dict[str, dict[str, Callable[..., Atoms]]] = {
    "fcc": {"100": fcc100, "110": fcc110, "111": fcc111},
    "bcc": {"100": bcc100, "110": bcc110, "111": bcc111},
    "hcp": {"0001": hcp0001},
    "diamond": {"100": diamond100, "111": diamond111},
}
_LAYERS = {"100": 8, "110": 10, "111": 8, "0001": 8}
"""Numbers of layers of slabs with one atom per layer, by Miller indices."""


@dataclass(frozen=True)
class Vacancy:
    """A vacancy in a supercell of an elemental crystal.

    :param max_atoms: largest number of atoms in the supercell.
    """

    crystal: SizedCrystal
    max_atoms: int

    @cached_property
    def _perfect(self) -> Atoms:
        return supercell(self.crystal.conventional(), self.max_atoms)

    @property
    def _names(self) -> tuple[str, str]:
        return f"{self.crystal.name} vacancy", f"{self.crystal.name} without vacancy"

    def structures(self) -> dict[str, Atoms]:
        """Return the supercell with and without the vacancy."""
        vacancy, perfect = self._names
        defect = self._perfect.copy()
        del defect[0]
        return {vacancy: defect, perfect: self._perfect}

    def measure(self, labels: Labels) -> Measurement:
        """Return the formation energy (eV): E(vacancy) - (n - 1)/n E(perfect)."""
        vacancy, perfect = self._names
        n_atoms = len(self._perfect)
        try:
            value = energy_of(labels, vacancy) - (n_atoms - 1) / n_atoms * energy_of(labels, perfect)
            reason = None
        except NotMeasurableError as error:
            value, reason = math.nan, str(error)
        what = "vacancy, unrelaxed"
        return Measurement([Quantity("vacancy_formation_energy", self.crystal.name, what, "eV", value, reason)])


@dataclass(frozen=True)
class Surfaces:
    """Slabs of an elemental crystal with low-index surfaces, periodic along all directions.

    :param max_atoms: largest number of atoms in a slab.
    """

    crystal: SizedCrystal
    max_atoms: int

    @cached_property
    def _slabs(self) -> dict[str, Atoms]:
        builders = _BUILDERS.get(self.crystal.prototype)
        if builders is None:
            return {"100": self._any_slab()}
        return {index: self._slab(index, build) for index, build in builders.items()}

    def _slab(self, index: str, build: Callable[..., Atoms]) -> Atoms:
        symbol, a = self.crystal.elements[0], self.crystal.lattice_constant
        more: dict[str, Any] = {}
        if self.crystal.prototype == "hcp":
            more["c"] = float(self.crystal.cell.cell.lengths()[2])
        slab = build(symbol, (1, 1, min(_LAYERS[index], self.max_atoms)), a=a, vacuum=VACUUM / 2, **more)
        slab.pbc = True
        return Atoms(slab.symbols, positions=slab.positions, cell=slab.cell, pbc=True)

    def _any_slab(self) -> Atoms:
        cell = self.crystal.conventional()
        layers = max(1, min(round(12 / cell.cell.lengths()[0]), self.max_atoms // len(cell)))
        slab = surface(cell, (1, 0, 0), layers, vacuum=VACUUM / 2, periodic=True)
        return Atoms(slab.symbols, positions=slab.positions, cell=slab.cell, pbc=True)

    def _name(self, index: str) -> str:
        return f"{self.crystal.name} surface {index}"

    def structures(self) -> dict[str, Atoms]:
        """Return the slabs by name."""
        return {self._name(index): slab for index, slab in self._slabs.items()}

    def measure(self, labels: Labels) -> Measurement:
        """Return the surface energies (J/m²): (E(slab) - n E(crystal)) / 2A."""
        quantities = []
        for index, slab in self._slabs.items():
            area = float(np.linalg.norm(np.cross(slab.cell[0], slab.cell[1])))
            try:
                n_bulk = len(slab) * energy_per_atom(labels, equilibrium_name(self.crystal))
                excess = energy_of(labels, self._name(index)) - n_bulk
                value, reason = excess / (2 * area) * _EV_PER_A2_IN_J_PER_M2, None
            except NotMeasurableError as error:
                value, reason = math.nan, str(error)
            what = f"({index}), unrelaxed"
            quantities.append(Quantity("surface_energy", self.crystal.name, what, "J/m^2", value, reason))
        return Measurement(quantities)
