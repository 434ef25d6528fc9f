"""Crystals and phases of the validation, at rounded lattice constants that different potentials of an oracle share."""

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
from .symmetry import conventional, standard_primitive

SIZE_STEP = 0.002
"""Step of the logarithm of the lattice constants to which they are rounded."""

_GIVEN_SYMMETRY = 0.01
"""Tolerance (Å) of the symmetry of the user's phases, whose files may have few digits."""


@dataclass(frozen=True)
class ValidationCrystal:
    """A crystal at the lattice constants of the validation.

    :param name: elements and prototype, e.g. `Cu fcc`.
    :param prototype: fcc, bcc, ..., b1, l1_2.
    :param atoms: the primitive cell.
    :param energy: energy by the potential at its minimum (eV/atom), NaN if there is none.
    :param given: whether it is a phase given by the user.
    """

    name: str
    prototype: str
    atoms: Atoms
    energy: float = math.nan
    given: bool = False

    @property
    def elements(self) -> tuple[str, ...]:
        """The elements, sorted."""
        return tuple(sorted(set(self.atoms.get_chemical_symbols())))

    @property
    def lattice_constant(self) -> float:
        """Lattice constant a (Å) of the conventional cell."""
        return float(self.atoms.cell.get_bravais_lattice().vars()["a"])

    def conventional(self) -> Atoms:
        """Return the conventional cell of a phase, the cubic one of elemental fcc, bcc and diamond, else the cell itself."""
        if self.given:
            return conventional(self.atoms)
        if self.prototype not in ("fcc", "bcc", "diamond") or len(self.elements) > 1:
            return self.atoms.copy()
        return bulk(self.elements[0], self.prototype, a=self.lattice_constant, cubic=True)


def estimated_crystals(elements: Sequence[str], config: ValidationConfig) -> list[ValidationCrystal]:
    """Return crystals at estimated lattice constants.

    These are the reference crystal and the prototypes of each element, and the ordered compounds of each pair of elements.
    """
    prototypes: Sequence[str] = () if config.level == "quick" else config.prototypes
    crystals = []
    for element in sorted(elements):
        wanted = prototypes if reference_prototype(element) is not None else (*config.prototypes, "fcc")
        for crystal in elemental_crystals(element, tuple(dict.fromkeys(wanted))):
            crystals.append(
                ValidationCrystal(f"{element} {crystal.name}", crystal.name, sort_by_species(crystal.atoms))
            )
    for crystal in ordered_crystals(sorted(elements)):
        formula = crystal.atoms.get_chemical_formula()
        crystals.append(ValidationCrystal(f"{formula} {crystal.name}", crystal.name, sort_by_species(crystal.atoms)))
    return crystals


def given_crystals(phases: Sequence[Atoms]) -> list[ValidationCrystal]:
    """Return the user's phases in their standard primitive cells; equal names get numbers.

    :param phases: crystals whose info has `seed`, the name.
    :raises NotMeasurableError: if no symmetry is found.
    """
    names: list[str] = []
    crystals = []
    for atoms in phases:
        name = str(atoms.info["seed"])
        names.append(name)
        number = names.count(name)
        title = name if number == 1 else f"{name} {number}"
        crystals.append(ValidationCrystal(title, "", standard_primitive(atoms, _GIVEN_SYMMETRY), given=True))
    return crystals


def crystals_of(elements: Sequence[str], config: ValidationConfig, phases: Sequence[Atoms]) -> list[ValidationCrystal]:
    """Return the crystals of a validation: the user's phases and, if wanted, those guessed from the elements."""
    given = given_crystals(phases)
    wanted = not given if config.guessed_crystals == "auto" else config.guessed_crystals or not given
    return [*given, *(estimated_crystals(elements, config) if wanted else [])]


def at_equilibrium(
    crystals: Sequence[ValidationCrystal],
    factors: Mapping[str, float],
    energies: Mapping[str, float],
    relaxed: Mapping[str, Atoms] | None = None,
) -> list[ValidationCrystal]:
    """Return the crystals near the energy minimum of the potential, or at the estimate if it has none.

    Lattice constants are rounded to steps of :data:`SIZE_STEP`. Good potentials of the same oracle differ by less, so that they
    are validated on the same structures and reuse the labels.

    :param factors: lattice constants at the minimum relative to the estimate, by name.
    :param energies: energies by the potential at the minimum (eV/atom), by name.
    :param relaxed: crystals with relaxed cell and positions, by name. The cell is rounded; positions that no symmetry fixes
        are not, so that labels of such crystals are not shared.
    """
    sized = []
    for crystal in crystals:
        if relaxed is not None and crystal.name in relaxed:
            atoms = _rounded(crystal.atoms, relaxed[crystal.name])
            sized.append(replace(crystal, atoms=atoms, energy=energies.get(crystal.name, math.nan)))
            continue
        factor = factors.get(crystal.name, 1.0)
        rounded = math.exp(SIZE_STEP * round(math.log(factor) / SIZE_STEP))
        sized.append(
            replace(crystal, atoms=scaled(crystal.atoms, rounded), energy=energies.get(crystal.name, math.nan))
        )
    return sized


def _rounded(atoms: Atoms, relaxed: Atoms) -> Atoms:
    """Return a relaxed crystal whose logarithmic strain from one in standard orientation is rounded, in its symmetry."""
    from scipy.linalg import expm, logm

    strain = np.real(logm(np.linalg.solve(atoms.cell.array, relaxed.cell.array)))
    rounded = relaxed.copy()
    rounded.set_cell(
        atoms.cell.array @ expm(SIZE_STEP * np.rint((strain + strain.T) / 2 / SIZE_STEP)), scale_atoms=True
    )
    return standard_primitive(rounded, _GIVEN_SYMMETRY)


def references(crystals: Sequence[ValidationCrystal]) -> list[ValidationCrystal]:
    """Return the reference crystal of each element that has a crystal.

    It is the phase of the element with the lowest energy by the potential; without phases, the crystal of ASE, else that with
    the lowest energy.
    """
    found = []
    for element in sorted({crystal.elements[0] for crystal in crystals if len(crystal.elements) == 1}):
        own = [crystal for crystal in crystals if crystal.elements == (element,)]
        own = [crystal for crystal in own if crystal.given] or own
        known = [crystal for crystal in own if crystal.prototype == reference_prototype(element)]
        found.append(known[0] if known else min(own, key=_energy_or_inf))
    return found


def best_compounds(crystals: Sequence[ValidationCrystal]) -> list[ValidationCrystal]:
    """Return the guessed compound of each pair of elements with the lowest formation energy per atom by the potential."""
    pure = {crystal.elements[0]: crystal.energy for crystal in references(crystals)}
    compounds = [crystal for crystal in crystals if len(crystal.elements) > 1 and not crystal.given]

    def formation(crystal: ValidationCrystal) -> float:
        mixed = float(np.mean([pure[symbol] for symbol in crystal.atoms.get_chemical_symbols()]))
        return _energy_or_inf(crystal) - mixed

    pairs = sorted({crystal.elements for crystal in compounds})
    return [min((c for c in compounds if c.elements == pair), key=formation) for pair in pairs]


def _energy_or_inf(crystal: ValidationCrystal) -> float:
    return crystal.energy if math.isfinite(crystal.energy) else math.inf


def scaled(atoms: Atoms, factor: float) -> Atoms:
    """Return a crystal with all lengths multiplied by a factor."""
    grown = atoms.copy()
    grown.set_cell(atoms.cell * factor, scale_atoms=True)
    return grown
