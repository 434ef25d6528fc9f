"""Spin multiplicity of molecules."""

from __future__ import annotations

from ase import Atoms
from ase.data import ground_state_magnetic_moments


def multiplicity(atoms: Atoms, charge: int = 0) -> int:
    """Return 2S + 1 of the ground state: that of a neutral free atom from tables, else the lowest that the electrons allow."""
    if len(atoms) == 1 and charge == 0:
        return round(float(ground_state_magnetic_moments[atoms.numbers[0]])) + 1
    return 1 + (int(atoms.numbers.sum()) - charge) % 2
