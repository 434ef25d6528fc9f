"""Energies, forces, stresses and extrapolation grades of structures by the potential."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms
from mlip_common.errors import log
from mlip_common.potential import largest_grade


def predict(structures: Sequence[Atoms], calculator: Any, graded: bool) -> dict[str, np.ndarray]:
    """Evaluate the potential on structures; values that cannot be computed are NaN.

    :returns: `energies` (s,) eV; `forces` (all atoms, 3) eV/Å, structures concatenated; `stresses` (s, 6) eV/Å^3, NaN
        where a structure is not periodic; `grades` (s,), the largest extrapolation grade of its atoms, NaN if not `graded`.
    """
    energies, grades = np.full(len(structures), np.nan), np.full(len(structures), np.nan)
    stresses = np.full((len(structures), 6), np.nan)
    forces = [np.full((len(atoms), 3), np.nan) for atoms in structures]
    for number, structure in enumerate(structures):
        atoms = structure.copy()
        atoms.calc = calculator
        try:
            energies[number] = atoms.get_potential_energy()
            forces[number] = atoms.get_forces()
            if atoms.pbc.all():
                stresses[number] = atoms.get_stress()
            if graded:
                grades[number] = largest_grade(calculator)
        except (ValueError, RuntimeError) as error:
            log(f"structure {number} ({atoms.info.get('family')}) cannot be evaluated: {error}")
    return {"energies": energies, "forces": np.concatenate(forces), "stresses": stresses, "grades": grades}
