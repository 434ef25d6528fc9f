"""Crystals for properties: relaxed, in standard orientation, with supercells."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ase import Atoms
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS, FIRE

from ..dataset.trajectory import attach_labels, sort_by_species
from ..generator.crystals import elemental_crystals, reference_prototype
from ..validation.crystals import SizedCrystal
from .model import NotComputableError

SYMMETRY = 1e-3
"""Tolerance (Å) of symmetry."""

_TOO_MANY_STEPS = 1000


def reference_crystals(elements: Sequence[str]) -> dict[str, Atoms]:
    """Return the reference crystal of each element at an estimated lattice constant, by name."""
    found = {}
    for element in sorted(elements):
        prototype = reference_prototype(element) or "fcc"
        found[f"{element} {prototype}"] = elemental_crystals(element, (prototype,))[0].cell
    return found


def relax_crystal(atoms: Atoms, calculator: Any, max_force: float, max_steps: int) -> Atoms:
    """Return a crystal with relaxed cell and positions, as its standard primitive cell.

    :raises NotComputableError: if the structure is no crystal, or does not converge.
    """
    if not atoms.pbc.all():
        raise NotComputableError("the structure is not periodic along all directions")
    relaxed = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True)
    relaxed.calc = calculator
    with BFGS(FrechetCellFilter(relaxed), logfile=None) as optimiser:
        if not optimiser.run(fmax=max_force, steps=max_steps):
            raise NotComputableError(f"the relaxation of the crystal did not converge in {max_steps} steps")
    return standard_primitive(relaxed)


def standard_primitive(atoms: Atoms) -> Atoms:
    """Return the primitive cell in the standard orientation of spglib, with atoms sorted by element."""
    return _standardized(atoms, to_primitive=True)


def conventional(atoms: Atoms) -> Atoms:
    """Return the standard conventional cell."""
    return _standardized(atoms, to_primitive=False)


def _standardized(atoms: Atoms, to_primitive: bool) -> Atoms:
    import spglib

    cell = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
    found = spglib.standardize_cell(cell, to_primitive=to_primitive, no_idealize=False, symprec=SYMMETRY)
    if found is None:
        raise NotComputableError("no symmetry is found; atoms may be too close")
    vectors, positions, numbers = found
    return sort_by_species(Atoms(numbers, scaled_positions=positions, cell=vectors, pbc=True))


def symmetry_of(atoms: Atoms) -> Any:
    """Return the data set of spglib."""
    import spglib

    return spglib.get_symmetry_dataset((atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers), SYMMETRY)


def relax_positions(atoms: Atoms, calculator: Any, max_force: float) -> Atoms:
    """Return a structure with relaxed positions; constraints are kept.

    :raises NotComputableError: if it does not converge.
    """
    relaxed = atoms.copy()
    relaxed.calc = calculator
    with FIRE(relaxed, logfile=None) as optimiser:
        if not optimiser.run(fmax=max_force, steps=_TOO_MANY_STEPS):
            raise NotComputableError(f"the relaxation of atoms did not converge in {_TOO_MANY_STEPS} steps")
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


def labels(structures: Mapping[str, Atoms], calculator: Any) -> dict[str, Atoms]:
    """Return structures with energies, forces and stresses, as the properties of the validation take them."""
    labelled = {}
    for name, atoms in structures.items():
        copy = atoms.copy()
        copy.calc = calculator
        results = {"energy": copy.get_potential_energy(), "forces": copy.get_forces(), "stress": copy.get_stress()}
        labelled[name] = attach_labels(atoms.copy(), results)
    return labelled


def supercell(cell: Atoms, min_length: float) -> Atoms:
    """Return the supercell of which no vector is shorter than a length (Å)."""
    return cell.repeat(repeats(cell, min_length))


def repeats(cell: Atoms, min_length: float) -> tuple[int, int, int]:
    """Return the repetitions of a cell along its vectors after which none is shorter than a length (Å)."""
    first, second, third = (math.ceil(min_length / length - 1e-6) for length in cell.cell.lengths())
    return first, second, third


def sized(name: str, cell: Atoms) -> SizedCrystal:
    """Return a crystal as the validation has it."""
    return SizedCrystal(name, "", cell)


def middle_of_widest_gap(heights: np.ndarray) -> float:
    """Return the middle of the widest gap between periodic heights (n,) of period 1."""
    ordered = np.sort(heights % 1.0)
    gaps = np.diff([*ordered, ordered[0] + 1])
    widest = int(np.argmax(gaps.round(6)))
    return float(ordered[widest] + gaps[widest] / 2)


def element_energies(structures: Mapping[str, Atoms], calculator: Any) -> dict[str, float]:
    """Return the lowest energy per atom (eV) among the elemental crystals of each element."""
    found: dict[str, float] = {}
    for atoms in structures.values():
        if len(set(atoms.symbols)) == 1:
            symbol, value = atoms.symbols[0], energy(atoms, calculator) / len(atoms)
            found[symbol] = min(value, found.get(symbol, math.inf))
    return found


def equivalent_directions(atoms: Atoms, vectors: np.ndarray) -> list[int]:
    """Return the index of the first vector that is equal to each vector by the point group of a cell.

    :param vectors: (n, 3) reciprocal vectors in units of those of the cell.
    """
    rotations = symmetry_of(atoms).rotations
    firsts: list[int] = []
    for number, vector in enumerate(vectors):
        images = {tuple(sign * image) for image in np.einsum("rij,i->rj", rotations, vector) for sign in (1, -1)}
        first = next((other for other in sorted(set(firsts)) if tuple(vectors[other]) in images), number)
        firsts.append(first)
    return firsts
