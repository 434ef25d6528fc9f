"""The energy minimum of a crystal: its lattice parameter, or its cell and positions."""

from __future__ import annotations

import math

import numpy as np
from ase import Atoms
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from mlip_common.errors import log
from scipy.optimize import minimize_scalar

SMALLEST, LARGEST, STEP = 0.8, 1.25, 0.015
"""Range of the lattice parameter, relative to the estimate, and logarithmic step."""

_MAX_FORCE, _MAX_STEPS = 0.002, 300
_MAX_STRAIN = 0.15
"""Largest strain of a relaxed cell: with a larger strain, the crystal has transformed into another structure."""


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


def relax(cell: Atoms, factor: float, calculator: object) -> Atoms | None:
    """Return a crystal with relaxed cell and positions, in the symmetry at the start, or None if it does not converge.

    :param factor: lattice parameter at the start, relative to that of the cell.
    """
    atoms = cell.copy()
    atoms.set_cell(cell.cell * factor, scale_atoms=True)
    atoms.calc = calculator
    start = atoms.cell.array.copy()
    try:
        with BFGS(FrechetCellFilter(atoms), logfile=None) as optimiser:
            converged = optimiser.run(fmax=_MAX_FORCE, steps=_MAX_STEPS)
    except (ValueError, RuntimeError, FloatingPointError, np.linalg.LinAlgError) as error:
        log(f"{cell.info.get('family')}: the relaxation failed: {error}")
        return None
    strain = np.linalg.solve(start, atoms.cell.array) - np.eye(3)
    if not converged or not np.isfinite(strain).all() or np.abs(strain).max() > _MAX_STRAIN:
        log(f"{cell.info.get('family')}: the relaxation does not converge near the given crystal")
        return None
    return atoms
