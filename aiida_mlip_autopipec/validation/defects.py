"""Unrelaxed vacancies and surfaces: the atoms stay at the sites of the perfect crystal."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, reduce

import numpy as np
from ase import Atoms

from ..config.schemas.validation import ValidationConfig
from ..generator.crystals import supercell
from .crystals import ValidationCrystal
from .cuts import index_text, miller_indices, slab
from .equation_of_state import equilibrium_name
from .measurement import Labels, Measurement, NotMeasurableError, Quantity, energy_of, energy_per_atom
from .symmetry import conventional, equivalent_directions, sites_of

SLAB_VACUUM = 12.0
"""Vacuum (Å) between slabs."""

_EV_PER_A2_IN_J_PER_M2 = 16.02176634


@dataclass(frozen=True)
class Vacancies:
    """The vacancies of all inequivalent sites of a crystal in a supercell.

    Of a compound without crystals of its elements, whose chemical potentials are not known, one formula unit is missing.

    :param references: reference crystals by element, which give the chemical potentials.
    :param max_atoms: largest number of atoms in the supercell.
    """

    crystal: ValidationCrystal
    references: Mapping[str, ValidationCrystal]
    max_atoms: int

    @cached_property
    def _perfect(self) -> Atoms:
        atoms = self.crystal.conventional()
        if len(atoms) > self.max_atoms:
            atoms = self.crystal.atoms
        return supercell(atoms, self.max_atoms)

    @property
    def _perfect_name(self) -> str:
        return f"{self.crystal.name} without vacancy"

    @cached_property
    def _removed(self) -> dict[str, list[int]]:
        """The removed atoms by name of the defect."""
        if not self.references.keys() >= set(self.crystal.elements):
            unit = _formula_unit(self._perfect)
            return {"missing formula unit": unit} if 2 * len(unit) <= len(self._perfect) else {}
        sites = sites_of(self._perfect)
        if len(self._perfect) < 2:
            return {}
        return {"vacancy" if len(sites) == 1 else f"{site} vacancy": [atom] for site, atom in sites.items()}

    def _name(self, what: str) -> str:
        return f"{self.crystal.name} {what}"

    def structures(self) -> dict[str, Atoms]:
        """Return the supercell with and without defects."""
        if not self._removed:
            return {}
        found = {self._perfect_name: self._perfect.copy()}
        for what, removed in self._removed.items():
            found[self._name(what)] = self._perfect[[n for n in range(len(self._perfect)) if n not in removed]]
        return found

    def measure(self, labels: Labels) -> Measurement:
        """Return the formation energies (eV): E(defect) - E(perfect) + Σ n_i μ_i for n_i removed atoms of the element i.

        μ_i is the energy per atom of the reference crystal of the element; that of a formula unit is its energy in the crystal.
        """
        quantities = []
        for what, removed in self._removed.items():
            try:
                change = energy_of(labels, self._name(what)) - energy_of(labels, self._perfect_name)
                value, reason = change + self._chemical_potential(removed, labels), None
            except NotMeasurableError as error:
                value, reason = math.nan, str(error)
            name = f"{what}, unrelaxed"
            quantities.append(Quantity("vacancy_formation_energy", self.crystal.name, name, "eV", value, reason))
        return Measurement(quantities)

    def _chemical_potential(self, removed: list[int], labels: Labels) -> float:
        if len(removed) > 1 or len(self.crystal.elements) == 1:
            return len(removed) * energy_per_atom(labels, self._perfect_name)
        return energy_per_atom(labels, equilibrium_name(self.references[self._perfect.symbols[removed[0]]]))


def _formula_unit(atoms: Atoms) -> list[int]:
    """Return the first atom, and those nearest to it that make up one formula unit with it."""
    counts = Counter(atoms.get_chemical_symbols())
    divisor = reduce(math.gcd, counts.values())
    missing = {symbol: number // divisor for symbol, number in counts.items()}
    chosen = []
    for index in np.argsort(atoms.get_distances(0, range(len(atoms)), mic=True), kind="stable"):
        if missing[atoms.symbols[index]]:
            missing[atoms.symbols[index]] -= 1
            chosen.append(int(index))
    return chosen


@dataclass(frozen=True)
class Surfaces:
    """Slabs of a crystal with its inequivalent low-index surfaces, periodic along all directions.

    :param config: gives the largest Miller index and number of atoms, and the thickness.
    """

    crystal: ValidationCrystal
    config: ValidationConfig

    @cached_property
    def _slabs(self) -> dict[str, Atoms]:
        crystal, config = conventional(self.crystal.atoms), self.config
        indices = miller_indices(config.max_miller_index)
        found = {}
        for first in sorted(set(equivalent_directions(crystal, indices))):
            index = [int(value) for value in indices[first]]
            for thickness in np.arange(config.slab_thickness, config.min_slab_thickness - 1e-6, -1.0):
                made = slab(crystal, index, float(thickness), SLAB_VACUUM)
                if len(made) <= config.max_atoms:
                    found[index_text(index)] = made
                    break
        return found

    def _name(self, index: str) -> str:
        return f"{self.crystal.name} surface {index}"

    def structures(self) -> dict[str, Atoms]:
        """Return the slabs by name."""
        return {self._name(index): made.copy() for index, made in self._slabs.items()}

    def measure(self, labels: Labels) -> Measurement:
        """Return the surface energies (J/m²): (E(slab) - n E(crystal)) / 2A, for a compound the mean of both terminations."""
        quantities = []
        for index, made in self._slabs.items():
            area = float(np.linalg.norm(np.cross(made.cell[0], made.cell[1])))
            try:
                n_bulk = len(made) * energy_per_atom(labels, equilibrium_name(self.crystal))
                excess = energy_of(labels, self._name(index)) - n_bulk
                value, reason = excess / (2 * area) * _EV_PER_A2_IN_J_PER_M2, None
            except NotMeasurableError as error:
                value, reason = math.nan, str(error)
            what = f"({index}), unrelaxed"
            quantities.append(Quantity("surface_energy", self.crystal.name, what, "J/m^2", value, reason))
        return Measurement(quantities)
