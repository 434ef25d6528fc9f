"""Point defects with relaxed atoms: vacancies, interstitials and antisites."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from ase import Atom, Atoms

from ..config.schemas.properties import DefectSettings
from ..generator.crystals import neighbour_distance
from ..validation.symmetry import conventional, sites_of
from .crystals import element_energies, energy, relax_positions, supercell
from .model import NotComputableError, Property, Result, Value

_DUMBBELL = 0.6
"""Distance of the two atoms of a dumbbell at the start, in units of the shortest interatomic distance."""


class Defects(Property):
    """Formation energies at constant volume: E(defect) - E(crystal) + Σ n_i μ_i.

    n_i atoms of the element i are removed; μ_i is the energy per atom of the most stable crystal of the element among the
    structures, so that defects of compounds need the crystals of their elements.
    """

    name = "defects"
    Settings = DefectSettings

    def measure(self, name: str, structures: Mapping[str, Atoms], calculator: Any) -> Result:
        """Return the formation energies (eV)."""
        crystal = conventional(structures[name])
        perfect = supercell(crystal, self.settings.min_length)
        whole = energy(perfect, calculator)
        chemical = element_energies(structures, calculator)
        missing = sorted(set(crystal.symbols) - set(chemical))
        if missing:
            raise NotComputableError(
                f"the chemical potential of {', '.join(missing)} needs a crystal of each of these elements: add them to the "
                "structures"
            )
        values, notes = [], [f"{len(perfect)} atoms in the supercell, constant volume"]
        for what, defect in self._defects(crystal, perfect):
            try:
                relaxed = relax_positions(defect, calculator, self.settings.max_force)
            except NotComputableError as error:
                notes.append(f"{what}: {error}")
                continue
            change = sum(chemical[symbol] for symbol in perfect.symbols) - sum(
                chemical[symbol] for symbol in defect.symbols
            )
            values.append(Value(f"{what} formation energy", energy(relaxed, calculator) - whole + change, "eV"))
        return Result(self.name, name, values, notes=notes)

    def _defects(self, crystal: Atoms, perfect: Atoms) -> Iterator[tuple[str, Atoms]]:
        sites = sites_of(crystal)
        kinds, elements = self.settings.kinds, sorted(set(crystal.symbols))
        for label, site in sites.items():
            if "vacancy" in kinds:
                yield f"{label} vacancy", without(perfect, site)
            if "antisite" in kinds:
                for element in elements:
                    if element != perfect.symbols[site]:
                        yield f"{element} on {label} antisite", _substituted(perfect, site, element)
            if "interstitial" in kinds:
                for element in elements:
                    for direction in self.settings.dumbbells:
                        indices = "".join(map(str, direction))
                        yield (
                            f"{element} at {label} dumbbell <{indices}>",
                            _dumbbell(crystal, perfect, site, element, direction),
                        )


def without(perfect: Atoms, site: int) -> Atoms:
    """Return a supercell without one atom."""
    defect = perfect.copy()
    del defect[site]
    return defect


def _substituted(perfect: Atoms, site: int, element: str) -> Atoms:
    defect = perfect.copy()
    defect.symbols[site] = element
    return defect


def _dumbbell(crystal: Atoms, perfect: Atoms, site: int, element: str, direction: tuple[int, int, int]) -> Atoms:
    along = np.array(direction) @ crystal.cell.array
    half = along / np.linalg.norm(along) * _DUMBBELL * neighbour_distance(perfect) / 2
    defect = perfect.copy()
    position = perfect.positions[site].copy()
    defect.positions[site] = position - half
    defect.append(Atom(element, position + half))
    # Displaced from the symmetric position, so that an unstable dumbbell can rotate.
    defect.rattle(0.01, seed=1)
    return defect
