"""Equal structures whose labels differ: errors of the oracle, or labels of different methods."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ase import Atoms

FORCE_AGREEMENT = (0.1, 0.05)
"""Forces of equal structures differ if those of an atom differ by more than the first number (eV/Å) plus the second one
times the largest force: equal structures may differ by 1e-3 Å, which changes the forces of stiff bonds by up to 0.1 eV/Å."""

_SAME_PLACE = 1e-2
"""Distance (Å) below which atoms of equal structures are at the same place."""


def energy_difference(index: int, original: int, structures: Sequence[Atoms]) -> float:
    """Return the difference of the energies of two structures in eV/atom."""
    energies = [float(structures[i].calc.results["energy"]) / len(structures[i]) for i in (index, original)]
    return energies[0] - energies[1]


def energy_contradictions(
    equal_to: Mapping[int, int], structures: Sequence[Atoms], agreement: float
) -> list[dict[str, Any]]:
    """Return the pairs of equal structures whose energies differ by more than the agreement (eV/atom)."""
    differences = {index: energy_difference(index, original, structures) for index, original in equal_to.items()}
    return [
        {"index": index, "equal_to": equal_to[index], "energy_difference_eV_per_atom": difference}
        for index, difference in differences.items()
        if abs(difference) > agreement
    ]


def force_contradictions(equal_to: Mapping[int, int], structures: Sequence[Atoms]) -> list[dict[str, Any]]:
    """Return the pairs of equal structures whose forces differ.

    The differences (eV/Å) are the largest one of an atom, and the RMS of the components.
    """
    found = []
    for index, original in equal_to.items():
        pair = structures[index], structures[original]
        differences = _force_differences(*pair)
        largest = max(float(np.linalg.norm(atoms.calc.results["forces"], axis=1).max()) for atoms in pair)
        if differences.max() > FORCE_AGREEMENT[0] + FORCE_AGREEMENT[1] * largest:
            found.append(
                {
                    "index": index,
                    "equal_to": original,
                    "largest_force_difference_eV_per_A": float(differences.max()),
                    "rms_force_difference_eV_per_A": float(np.sqrt(np.mean(differences**2) / 3.0)),
                }
            )
    return found


def _force_differences(first: Atoms, second: Atoms) -> np.ndarray:
    """Return the differences (n,) of the forces of the atoms of two equal structures.

    In other cells, or with atoms in another order, only the sizes of the forces are compared, in ascending order for each
    element: no other assignment of the atoms has a smaller largest difference.
    """
    forces = [np.asarray(atoms.calc.results["forces"], dtype=float) for atoms in (first, second)]
    if _same_places(first, second):
        return np.asarray(np.linalg.norm(forces[0] - forces[1], axis=1))
    n_atoms = math.lcm(len(first), len(second))
    sizes = []
    for atoms, force in zip((first, second), forces, strict=True):
        size, order = np.linalg.norm(force, axis=1), atoms.numbers
        sizes.append(np.repeat(size[np.lexsort((size, order))], n_atoms // len(atoms)))
    return np.abs(sizes[0] - sizes[1])


def _same_places(first: Atoms, second: Atoms) -> bool:
    """Tell whether two structures have the same cell and the same atoms in the same order, except for a translation."""
    if not np.array_equal(first.numbers, second.numbers) or not np.array_equal(first.pbc, second.pbc):
        return False
    differences = second.positions - first.positions
    if first.pbc.any():
        if np.abs(first.cell.array - second.cell.array).max() > _SAME_PLACE:
            return False
        vectors = first.cell.array[first.pbc]
        differences -= differences[0]
        differences -= np.rint(differences @ np.linalg.pinv(vectors)) @ vectors
    differences -= differences.mean(axis=0)
    return bool(np.abs(differences).max() < _SAME_PLACE)
