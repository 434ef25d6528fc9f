"""Energies of labelled structures above their convex hull."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from scipy.optimize import linprog

DIGITS = 9
"""Digits to which compositions are compared."""


def energies_above_hull(structures: Sequence[Atoms], energies: np.ndarray) -> np.ndarray:
    """Return the energy (eV/atom) of each structure above the lower convex hull of all of them (n,).

    The energy of the hull at a composition is the lowest energy of a mixture of the structures with this composition.

    :param energies: total energies in eV (n,).
    """
    if not structures:
        return np.zeros(0)
    species = sorted({number for atoms in structures for number in atoms.numbers.tolist()})
    counts = np.array([[np.count_nonzero(atoms.numbers == number) for number in species] for atoms in structures])
    sizes = counts.sum(axis=1)
    fractions = np.round(counts / sizes[:, None], DIGITS)
    compositions, of_structure = np.unique(fractions, axis=0, return_inverse=True)
    lowest = np.full(len(compositions), np.inf)
    np.minimum.at(lowest, of_structure, energies / sizes)
    hull = np.array([_lowest_of_mixtures(composition, compositions, lowest) for composition in compositions])
    return np.asarray(energies / sizes - hull[of_structure])


def _lowest_of_mixtures(composition: np.ndarray, compositions: np.ndarray, energies: np.ndarray) -> float:
    """Return the lowest energy (eV/atom) of mixtures of k phases, of given compositions (k, elements), with a composition.

    :param composition: (elements,).
    :param energies: of the phases, in eV/atom (k,).
    """
    return float(linprog(energies, A_eq=compositions.T, b_eq=composition).fun)
