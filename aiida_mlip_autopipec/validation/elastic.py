"""Elastic constants from the stresses of strained cells, with internal relaxation from force constants."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from ase import Atoms, units

from .crystals import SizedCrystal
from .measurement import Labels, Measurement, NotMeasurableError, Quantity, label_of
from .phonons import Displacements

STRAIN = 0.005
"""Size of a strain in Voigt notation."""

_VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
_Entries = dict[str, tuple[tuple[int, int], ...]]
_CUBIC: _Entries = {"C11": ((0, 0), (1, 1), (2, 2)), "C12": ((0, 1), (0, 2), (1, 2)), "C44": ((3, 3), (4, 4), (5, 5))}
_HEXAGONAL: _Entries = {
    "C11": ((0, 0), (1, 1)),
    "C12": ((0, 1),),
    "C13": ((0, 2), (1, 2)),
    "C33": ((2, 2),),
    "C44": ((3, 3), (4, 4)),
}
_ANY: _Entries = {f"C{i + 1}{i + 1}": ((i, i),) for i in range(6)}


@dataclass(frozen=True)
class ElasticConstants:
    """The relaxed-ion elastic constants of a crystal, without any relaxation.

    C_ij = dσ_i/dε_j by central differences at fixed fractional coordinates, minus ΛᵀΦ⁺Λ/V for the internal relaxation: Λ are
    the forces caused by a strain, Φ the force constants of the cell (Born and Huang, Dynamical Theory of Crystal Lattices,
    1954).
    """

    crystal: SizedCrystal

    @cached_property
    def _displacements(self) -> Displacements | None:
        if len(self.crystal.cell) == 1:
            return None
        return Displacements(self.crystal.cell, np.eye(3, dtype=int), f"{self.crystal.name} displaced")

    def structures(self) -> dict[str, Atoms]:
        """Return 12 strained cells and, if the cell has several atoms, cells with a displaced atom."""
        found = {
            self._name(index, sign): strained(self.crystal.cell, index, sign * STRAIN)
            for index in range(6)
            for sign in (-1, 1)
        }
        return found | (self._displacements.structures() if self._displacements else {})

    def _name(self, index: int, sign: int) -> str:
        return f"{self.crystal.name} strain {index + 1}{'+' if sign > 0 else '-'}"

    def measure(self, labels: Labels) -> Measurement:
        """Return the independent constants (GPa) of cubic and hexagonal crystals, else the diagonal C11 to C66."""
        try:
            constants, reason = self.tensor(labels) / units.GPa, None
        except NotMeasurableError as error:
            constants, reason = np.full((6, 6), math.nan), str(error)
        floor = 0.1 * float(np.abs(constants).max())
        quantities = []
        for name, entries in self._independent.items():
            value = float(np.mean([constants[entry] for entry in entries]))
            scale = max(abs(value), floor)
            quantities.append(Quantity("elastic_constant", self.crystal.name, name, "GPa", value, reason, scale))
        return Measurement(quantities)

    @property
    def _independent(self) -> _Entries:
        family = self.crystal.cell.cell.get_bravais_lattice().crystal_family
        # The cell of L1_0 is cubic, but its order is tetragonal.
        if family == "cubic" and self.crystal.prototype != "l1_0":
            return _CUBIC
        return _HEXAGONAL if family == "hexagonal" else _ANY

    def tensor(self, labels: Labels, relaxed: bool = True) -> np.ndarray:
        """Return the elastic constants (6, 6) in eV/Å^3, in Voigt notation.

        :param relaxed: whether the ions are relaxed; otherwise they are clamped.
        :raises NotMeasurableError: if a label is missing or not finite.
        """
        volume = self.crystal.cell.get_volume()
        stress, force = np.empty((6, 6)), np.empty((3 * len(self.crystal.cell), 6))
        for index in range(6):
            lower, upper = (label_of(labels, self._name(index, sign)) for sign in (-1, 1))
            if "stress" not in lower.calc.results or "stress" not in upper.calc.results:
                raise NotMeasurableError("there is no stress among the labels")
            stress[:, index] = (upper.get_stress() - lower.get_stress()) / (2 * STRAIN)
            force[:, index] = (upper.get_forces() - lower.get_forces()).ravel() / (2 * STRAIN)
        if not (np.isfinite(stress).all() and np.isfinite(force).all()):
            raise NotMeasurableError("stresses or forces are not finite")
        if relaxed and self._displacements is not None:
            blocks = np.array(self._displacements.with_forces(labels).force_constants)
            hessian = blocks.transpose(0, 2, 1, 3).reshape(force.shape[0], force.shape[0])
            stress -= force.T @ np.linalg.pinv(hessian, rcond=1e-6) @ force / volume
        return (stress + stress.T) / 2


def strained(cell: Atoms, index: int, strain: float) -> Atoms:
    """Return a cell under one strain in Voigt notation (a shear strain is twice the tensor element)."""
    tensor = np.zeros((3, 3))
    i, j = _VOIGT[index]
    if i == j:
        tensor[i, i] = strain
    else:
        tensor[i, j] = tensor[j, i] = strain / 2
    deformed = cell.copy()
    deformed.set_cell(cell.cell.array @ (np.eye(3) + tensor), scale_atoms=True)
    return deformed
