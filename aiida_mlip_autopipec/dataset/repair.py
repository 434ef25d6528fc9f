"""Repair of structures that later stages cannot use, without invalidating their labels.

pacemaker requires right-handed cells that are periodic in all directions or in none. Equivalent structures in other
cells are rewritten; the relative positions of their atoms, their energies and their forces do not change.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from ase.geometry.cell import complete_cell

from .trajectory import attach_labels

ADDED_VACUUM = 16.0
"""Vacuum (Å) between the images of a slab or wire in its aperiodic directions: above the cutoff of any potential."""

MIN_DISTANCE = 0.1
"""Distance (Å) below which two atoms are at the same place."""

MIN_HEIGHT = 0.5
"""Minimum height (Å) of a cell: no material has a shorter period."""

FAMILY_KEYS = ("family", "group", "config_type")
"""Keys of ``atoms.info`` that hold the kind of a structure in published datasets; the first that exists is used."""

_FREE_ATOM_NAMES = ("isolatedatom", "isolated", "freeatom", "isolatedatoms", "freeatoms")

_MIN_VOLUME_RATIO = 1e-8
"""Ratio of the volume to the product of the lengths of cell vectors below which they are linearly dependent."""

_PAIRS_PER_STEP = 4_000_000
"""Number of pairs of atoms compared at a time."""


class UnusableError(ValueError):
    """A structure that cannot be used or repaired; the message says why."""


@dataclass(frozen=True)
class Repaired:
    """A structure that all later stages can use, and the changes made to it, as text."""

    atoms: Atoms
    changes: tuple[str, ...] = ()


def repair(atoms: Atoms) -> Repaired:
    """Return a structure that later stages can use; the same object if it needs no repair.

    - A single atom whose family is that of isolated atoms becomes a free atom, without periodicity, cell and stress.
    - A slab or wire becomes periodic in all directions, with at least :data:`ADDED_VACUUM` of vacuum. Its stress is scaled so
      that the virial stays the same.
    - The vectors of a left-handed cell are negated, which does not change the lattice.

    :raises UnusableError: if positions or cell are not finite, an atom is not a chemical element, a periodic direction has
        no cell vector, the cell has no volume or is thinner than :data:`MIN_HEIGHT`, or two atoms are at the same
        place.
    """
    _check_atoms(atoms)
    repaired, changes = atoms, []
    if is_declared_free_atom(atoms) and atoms.pbc.any():
        repaired = _with_cell(atoms, np.zeros((3, 3)), periodic=False, stress_factor=None)
        changes.append("isolated atoms in a periodic box, taken as free atoms without a cell")
    _check_cell(repaired)
    if repaired.pbc.any() and not repaired.pbc.all():
        repaired, change = _made_periodic(repaired)
        changes.append(change)
    if np.linalg.det(repaired.cell.array) < 0.0:
        repaired = _with_cell(repaired, -repaired.cell.array, periodic=bool(repaired.pbc.all()), stress_factor=1.0)
        changes.append("left-handed cells, made right-handed (the same lattice, with negated vectors)")
    _check_coincident(repaired)
    return Repaired(repaired, tuple(changes))


def is_declared_free_atom(atoms: Atoms) -> bool:
    """Tell whether a structure is a single atom whose family is that of isolated atoms, in any spelling."""
    names = [atoms.info.get(key) for key in FAMILY_KEYS]
    return len(atoms) == 1 and any(
        re.sub("[^a-z]", "", name.lower()) in _FREE_ATOM_NAMES for name in names if isinstance(name, str)
    )


def _check_atoms(atoms: Atoms) -> None:
    if len(atoms) == 0:
        raise UnusableError("no atoms")
    for name, array in (("positions", atoms.positions), ("cell", atoms.cell.array)):
        if not np.isfinite(array).all():
            raise UnusableError(f"{name} not finite")
    invalid = np.flatnonzero((atoms.numbers < 1) | (atoms.numbers >= len(chemical_symbols)))
    if len(invalid):
        first = int(invalid[0])
        number = int(atoms.numbers[first])
        species = "'X', a ghost or dummy atom" if number == 0 else f"of the atomic number {number}"
        raise UnusableError(f"atom {first} is {species}, not a chemical element; remove such structures or atoms")


def _check_cell(atoms: Atoms) -> None:
    if not atoms.pbc.any():
        return
    vectors = atoms.cell.array[atoms.pbc]
    lengths = np.linalg.norm(vectors, axis=1)
    missing = [
        name
        for name, periodic, vector in zip("abc", atoms.pbc, atoms.cell.array, strict=True)
        if periodic and not vector.any()
    ]
    if missing:
        raise UnusableError(f"periodic along {', '.join(missing)}, where the cell has no vector")
    volume = np.sqrt(max(np.linalg.det(vectors @ vectors.T), 0.0))
    if not volume > _MIN_VOLUME_RATIO * np.prod(lengths):
        raise UnusableError(f"the periodic cell vectors {vectors.tolist()} span no cell (they are linearly dependent)")
    height = float(1.0 / np.linalg.norm(np.linalg.pinv(vectors), axis=0).max())
    if height < MIN_HEIGHT:
        raise UnusableError(
            f"the cell is {height:.3g} Å thin; at least {MIN_HEIGHT:g} Å are needed (are its lengths in Å?)"
        )


def _check_coincident(atoms: Atoms) -> None:
    pair = coincident_atoms(atoms)
    if pair is not None:
        raise UnusableError(f"atoms {pair[0]} and {pair[1]} are at the same place (less than {MIN_DISTANCE:g} Å apart)")


def coincident_atoms(atoms: Atoms) -> tuple[int, int] | None:
    """Return the first two atoms less than :data:`MIN_DISTANCE` apart, periodic images included, or None."""
    vectors = atoms.cell.array[atoms.pbc]
    dual = np.linalg.pinv(vectors) if len(vectors) else np.zeros((3, 0))
    step = max(1, _PAIRS_PER_STEP // max(len(atoms), 1))
    for start in range(0, len(atoms), step):
        differences = atoms.positions[start : start + step, None] - atoms.positions
        if len(vectors):
            differences = differences - np.rint(differences @ dual) @ vectors
        close = np.einsum("ijk,ijk->ij", differences, differences) < MIN_DISTANCE**2
        rows, columns = np.nonzero(close)
        for row, column in zip((rows + start).tolist(), columns.tolist(), strict=True):
            if row < column:
                return row, column
    return None


def _made_periodic(atoms: Atoms) -> tuple[Atoms, str]:
    free = np.flatnonzero(~atoms.pbc)
    kind = "slabs" if len(free) == 1 else "wires"
    cell = atoms.cell.array
    volume = abs(float(np.linalg.det(cell)))
    if (
        not volume > _MIN_VOLUME_RATIO * np.prod(np.linalg.norm(cell, axis=1))
        or (_vacuum(atoms, cell)[free] < ADDED_VACUUM).any()
    ):
        cell = _with_vacuum(atoms, free)
    has_stress = atoms.calc is not None and atoms.calc.results.get("stress") is not None
    factor = volume / abs(float(np.linalg.det(cell))) if volume > 0.0 else None
    change = f"{kind}, made periodic in all directions with at least {ADDED_VACUUM:g} Å of vacuum"
    if has_stress:
        change += (
            "; their stress is removed, because their cells have no volume"
            if factor is None
            else "; their stress scaled to the new volume"
        )
    return _with_cell(atoms, cell, periodic=True, stress_factor=factor), change


def _with_vacuum(atoms: Atoms, free: np.ndarray) -> np.ndarray:
    """Return a cell (3, 3) whose aperiodic vectors are perpendicular to all others, with enough vacuum."""
    cell = atoms.cell.array.copy()
    cell[free] = 0.0
    directions = complete_cell(cell)[free]
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    extents = np.ptp(atoms.positions @ directions.T, axis=0)
    cell[free] = directions * (extents + ADDED_VACUUM)[:, None]
    return cell


def _vacuum(atoms: Atoms, cell: np.ndarray) -> np.ndarray:
    """Return the vacuum (3,) in Å along the normals of the faces of a cell."""
    dual = np.linalg.inv(cell)
    heights = 1.0 / np.linalg.norm(dual, axis=0)
    return heights - np.ptp(atoms.positions @ (dual * heights), axis=0)


def _with_cell(atoms: Atoms, cell: np.ndarray, *, periodic: bool, stress_factor: float | None) -> Atoms:
    """Return a copy in another cell; its stress is multiplied by a factor, or removed if that is None."""
    copy = Atoms(atoms.numbers, positions=atoms.positions, cell=cell, pbc=periodic, info=dict(atoms.info))
    if atoms.calc is not None:
        labels = {name: value for name, value in atoms.calc.results.items() if name != "stress" and value is not None}
        stress = atoms.calc.results.get("stress")
        if stress is not None and stress_factor is not None:
            labels["stress"] = np.asarray(stress, dtype=float) * stress_factor
        attach_labels(copy, labels)
    return copy


def repair_all(structures: Sequence[Atoms]) -> tuple[list[Atoms], dict[str, list[int]], dict[int, str]]:
    """Repair structures; those that cannot be repaired are kept unchanged.

    :returns: the structures in order; the indices of structures by kind of repair; and by index the reason why a
        structure cannot be used.
    """
    repaired_structures: list[Atoms] = []
    changes: dict[str, list[int]] = {}
    unusable: dict[int, str] = {}
    for index, atoms in enumerate(structures):
        try:
            repaired = repair(atoms)
        except UnusableError as error:
            unusable[index] = str(error)
            repaired_structures.append(atoms)
            continue
        repaired_structures.append(repaired.atoms)
        for change in repaired.changes:
            changes.setdefault(change, []).append(index)
    return repaired_structures, changes, unusable
