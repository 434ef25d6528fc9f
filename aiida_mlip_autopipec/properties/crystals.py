"""Crystals for properties: relaxed, in standard orientation, with supercells."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ase import Atoms
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS, FIRE

from ..dataset.dimension import dimensionality_of
from ..dataset.trajectory import attach_labels
from ..generator.crystals import elemental_crystals, reference_prototype
from ..validation.crystals import ValidationCrystal
from ..validation.symmetry import standard_primitive
from .model import NotComputableError

_MAX_STEPS = 1000
"""Maximum number of steps of a relaxation of positions."""


def reference_crystals(elements: Sequence[str]) -> dict[str, Atoms]:
    """Return the reference crystal of each element at an estimated lattice constant, by name."""
    found = {}
    for element in sorted(elements):
        prototype = reference_prototype(element) or "fcc"
        found[f"{element} {prototype}"] = elemental_crystals(element, (prototype,))[0].atoms
    return found


def relax_crystal(atoms: Atoms, calculator: Any, max_force: float, max_steps: int) -> Atoms:
    """Return a crystal with relaxed cell and positions, as its standard primitive cell.

    :param max_force: largest force (eV/Å) at which the relaxation ends.
    :raises NotComputableError: if the structure is no crystal, or does not converge.
    """
    if (kind := dimensionality_of(atoms)) != "crystal":
        raise NotComputableError(f"the structure is a {kind}, not a crystal")
    relaxed = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True)
    relaxed.calc = calculator
    with BFGS(FrechetCellFilter(relaxed), logfile=None) as optimiser:
        if not optimiser.run(fmax=max_force, steps=max_steps):
            raise NotComputableError(f"the relaxation of the crystal did not converge in {max_steps} steps")
    return standard_primitive(relaxed)


def relax_positions(atoms: Atoms, calculator: Any, max_force: float) -> Atoms:
    """Return a structure with relaxed positions; constraints are kept.

    :param max_force: largest force (eV/Å) at which the relaxation ends.
    :raises NotComputableError: if it does not converge.
    """
    relaxed = atoms.copy()
    relaxed.calc = calculator
    with FIRE(relaxed, logfile=None) as optimiser:
        if not optimiser.run(fmax=max_force, steps=_MAX_STEPS):
            raise NotComputableError(f"the relaxation of atoms did not converge in {_MAX_STEPS} steps")
    return relaxed


def energy(atoms: Atoms, calculator: Any) -> float:
    """Return the energy (eV) of a structure.

    :raises NotComputableError: if it is not finite.
    """
    copy = atoms.copy()
    copy.calc = calculator
    value = float(copy.get_potential_energy())
    if not math.isfinite(value):
        raise NotComputableError("an energy is not finite")
    return value


def evaluated(structures: Mapping[str, Atoms], calculator: Any) -> dict[str, Atoms]:
    """Return structures with the energies, forces and stresses of a calculator, as the validation takes labels."""
    labelled = {}
    for name, atoms in structures.items():
        copy = atoms.copy()
        copy.calc = calculator
        results = {"energy": copy.get_potential_energy(), "forces": copy.get_forces(), "stress": copy.get_stress()}
        labelled[name] = attach_labels(atoms.copy(), results)
    return labelled


def supercell(atoms: Atoms, min_length: float) -> Atoms:
    """Return the smallest supercell of which no vector is shorter than a length (Å)."""
    return atoms.repeat(repeats(atoms, min_length))


def repeats(atoms: Atoms, min_length: float) -> tuple[int, int, int]:
    """Return the repetitions along the cell vectors after which none is shorter than a length (Å)."""
    first, second, third = (math.ceil(min_length / length - 1e-6) for length in atoms.cell.lengths())
    return first, second, third


def validation_crystal(name: str, atoms: Atoms) -> ValidationCrystal:
    """Return a crystal in the form that the validation uses."""
    return ValidationCrystal(name, "", atoms)


def element_energies(structures: Mapping[str, Atoms], calculator: Any) -> dict[str, float]:
    """Return the lowest energy per atom (eV) among the elemental crystals of each element."""
    found: dict[str, float] = {}
    for atoms in structures.values():
        if len(set(atoms.symbols)) == 1:
            symbol, value = atoms.symbols[0], energy(atoms, calculator) / len(atoms)
            found[symbol] = min(value, found.get(symbol, math.inf))
    return found
