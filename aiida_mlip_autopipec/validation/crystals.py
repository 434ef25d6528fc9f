"""Crystals of the validation, at rounded lattice constants that different potentials of an oracle share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from ase import Atoms
from ase.build import bulk

from ..config.schemas.validation import ValidationConfig
from ..dataset.trajectory import sort_by_species
from ..generator.crystals import elemental_crystals, ordered_crystals, reference_prototype

SIZE_STEP = 0.002
"""Step of the logarithm of the lattice constants to which they are rounded."""


@dataclass(frozen=True)
class SizedCrystal:
    """A crystal at the lattice constants of the validation.

    :param name: elements and prototype, e.g. `Cu fcc`.
    :param prototype: fcc, bcc, ..., b1, l1_2.
    :param cell: the primitive cell.
    :param energy: energy by the potential at its minimum (eV/atom), NaN if there is none.
    """

    name: str
    prototype: str
    cell: Atoms
    energy: float = math.nan

    @property
    def elements(self) -> tuple[str, ...]:
        """The elements, sorted."""
        return tuple(sorted(set(self.cell.get_chemical_symbols())))

    @property
    def lattice_constant(self) -> float:
        """Lattice constant a (Å) of the conventional cell."""
        return float(self.cell.cell.get_bravais_lattice().vars()["a"])

    def conventional(self) -> Atoms:
        """Return the cubic cell of elemental fcc, bcc and diamond, and the cell itself of other crystals."""
        if self.prototype not in ("fcc", "bcc", "diamond") or len(self.elements) > 1:
            return self.cell.copy()
        return bulk(self.elements[0], self.prototype, a=self.lattice_constant, cubic=True)


def estimated_crystals(elements: Sequence[str], config: ValidationConfig) -> list[SizedCrystal]:
    """Return crystals at estimated lattice constants.

    These are the reference crystal and the prototypes of each element, and the ordered compounds of each pair of elements.
    """
    prototypes: Sequence[str] = () if config.level == "quick" else config.prototypes
    crystals = []
    for element in sorted(elements):
        wanted = prototypes if reference_prototype(element) is not None else (*config.prototypes, "fcc")
        for crystal in elemental_crystals(element, tuple(dict.fromkeys(wanted))):
            crystals.append(SizedCrystal(f"{element} {crystal.name}", crystal.name, sort_by_species(crystal.cell)))
    for crystal in ordered_crystals(sorted(elements)):
        formula = crystal.cell.get_chemical_formula()
        crystals.append(SizedCrystal(f"{formula} {crystal.name}", crystal.name, sort_by_species(crystal.cell)))
    return crystals


def at_equilibrium(
    crystals: Sequence[SizedCrystal], factors: Mapping[str, float], energies: Mapping[str, float]
) -> list[SizedCrystal]:
    """Return the crystals near the energy minimum of the potential, or at the estimate if it has none.

    Lattice constants are rounded to steps of :data:`SIZE_STEP`. Good potentials of the same oracle differ by less, so that they
    are validated on the same structures and reuse the labels.

    :param factors: lattice constants at the minimum relative to the estimate, by name.
    :param energies: energies by the potential at the minimum (eV/atom), by name.
    """
    sized = []
    for crystal in crystals:
        factor = factors.get(crystal.name, 1.0)
        rounded = math.exp(SIZE_STEP * round(math.log(factor) / SIZE_STEP))
        sized.append(replace(crystal, cell=scaled(crystal.cell, rounded), energy=energies.get(crystal.name, math.nan)))
    return sized


def references(crystals: Sequence[SizedCrystal]) -> list[SizedCrystal]:
    """Return the reference crystal of each element: that of ASE, else the crystal with the lowest energy by the potential."""
    found = []
    for element in sorted({element for crystal in crystals for element in crystal.elements}):
        own = [crystal for crystal in crystals if crystal.elements == (element,)]
        known = [crystal for crystal in own if crystal.prototype == reference_prototype(element)]
        found.append(known[0] if known else min(own, key=_energy_or_inf))
    return found


def best_compounds(crystals: Sequence[SizedCrystal]) -> list[SizedCrystal]:
    """Return the ordered compound of each pair of elements with the lowest formation energy per atom by the potential."""
    pure = {crystal.elements[0]: crystal.energy for crystal in references(crystals)}
    compounds = [crystal for crystal in crystals if len(crystal.elements) > 1]

    def formation(crystal: SizedCrystal) -> float:
        mixed = float(np.mean([pure[symbol] for symbol in crystal.cell.get_chemical_symbols()]))
        return _energy_or_inf(crystal) - mixed

    pairs = sorted({crystal.elements for crystal in compounds})
    return [min((c for c in compounds if c.elements == pair), key=formation) for pair in pairs]


def _energy_or_inf(crystal: SizedCrystal) -> float:
    return crystal.energy if math.isfinite(crystal.energy) else math.inf


def scaled(cell: Atoms, factor: float) -> Atoms:
    """Return a cell with all lengths multiplied by a factor."""
    grown = cell.copy()
    grown.set_cell(cell.cell * factor, scale_atoms=True)
    return grown


def neighbour_distance(cell: Atoms) -> float:
    """Return the smallest interatomic distance (Å) of a crystal, including periodic images."""
    from ase.neighborlist import neighbor_list

    reach = float((2 * cell.get_volume() / len(cell)) ** (1 / 3)) * 1.3
    return float(neighbor_list("d", cell, reach).min())
