"""The lattice parameter of minimum energy of a crystal."""

from __future__ import annotations

import math

import numpy as np
from ase import Atoms
from scipy.optimize import minimize_scalar

SMALLEST, LARGEST, STEP = 0.8, 1.25, 0.015
"""Range of the lattice parameter, relative to the estimate, and logarithmic step."""


def find_minimum(cell: Atoms, calculator: object) -> tuple[float, float] | None:
    """Return the lattice parameter at the minimum, relative to that of the cell, and the energy (eV/atom), or None.

    The shape of the cell is fixed. Of several minima it returns the nearest to the estimate.
    """

    def energy(factor: float) -> float:
        atoms = cell.copy()
        atoms.set_cell(cell.cell * factor, scale_atoms=True)
        atoms.calc = calculator
        return float(atoms.get_potential_energy()) / len(atoms)

    factors = np.exp(np.arange(math.log(SMALLEST), math.log(LARGEST) + STEP, STEP))
    energies = np.array([energy(factor) for factor in factors])
    if not np.isfinite(energies).all():
        return None
    inside = np.arange(1, len(factors) - 1)
    minima = inside[(energies[inside] < energies[inside - 1]) & (energies[inside] <= energies[inside + 1])]
    if not len(minima):
        return None
    best = min(minima, key=lambda index: abs(math.log(factors[index])))
    bounds = (factors[best - 1], factors[best + 1])
    found = minimize_scalar(energy, bounds=bounds, method="bounded", options={"xatol": 1e-5})
    return float(found.x), float(found.fun)
