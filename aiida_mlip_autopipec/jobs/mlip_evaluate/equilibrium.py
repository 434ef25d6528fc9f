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
"""Largest force (eV/Å) at which a relaxation ends, and its maximum number of steps."""

_MAX_STRAIN = 0.15
"""Largest strain of a relaxed cell: with a larger strain, the crystal has transformed into another structure."""


def find_minimum(crystal: Atoms, calculator: object) -> tuple[float, float] | None:
    """Return the lattice parameter at the minimum, relative to that at the start, and the energy (eV/atom), or None.

    The shape of the cell is fixed. Of several minima it returns the nearest to the estimate.
    """

    def energy(factor: float) -> float:
        atoms = crystal.copy()
        atoms.set_cell(crystal.cell * factor, scale_atoms=True)
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


def relax(crystal: Atoms, factor: float, calculator: object) -> Atoms | None:
    """Return a crystal with relaxed cell and positions, in the symmetry at the start, or None if it does not converge.

    :param factor: lattice parameter at which the relaxation starts, relative to that of `crystal`.
    """
    atoms = crystal.copy()
    atoms.set_cell(crystal.cell * factor, scale_atoms=True)
    atoms.calc = calculator
    start = atoms.cell.array.copy()
    try:
        with BFGS(FrechetCellFilter(atoms), logfile=None) as optimiser:
            converged = optimiser.run(fmax=_MAX_FORCE, steps=_MAX_STEPS)
    except (ValueError, RuntimeError, FloatingPointError, np.linalg.LinAlgError) as error:
        log(f"{crystal.info.get('family')}: the relaxation failed: {error}")
        return None
    strain = np.linalg.solve(start, atoms.cell.array) - np.eye(3)
    if not converged or not np.isfinite(strain).all() or np.abs(strain).max() > _MAX_STRAIN:
        log(f"{crystal.info.get('family')}: the relaxation does not converge near the given crystal")
        return None
    return atoms
