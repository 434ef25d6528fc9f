"""Convex hull of the energies of phases."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from scipy.optimize import linprog

from ..dataset.species import elements_of


def energies_above_hull(phases: Sequence[Atoms], energies: Sequence[float]) -> list[float]:
    """Return the energy (eV/atom) of each phase above the mixture of phases with the lowest energy at its composition.

    Crystals of the elements are not needed: each phase is a mixture of itself. Phases on the hull have the energy 0.

    :param energies: (n,) in eV/atom.
    """
    if not phases:
        return []
    elements = elements_of(phases)
    shares = np.array([[np.mean(np.array(list(atoms.symbols)) == symbol) for symbol in elements] for atoms in phases])
    # Relative to the mean, so that the tolerance of the solver does not depend on the zero of energy.
    costs = np.array(energies) - np.mean(energies)
    lowest = [float(linprog(costs, A_eq=shares.T, b_eq=share, bounds=(0, None)).fun) for share in shares]
    return [max(0.0, float(cost) - low) for cost, low in zip(costs, lowest, strict=True)]
