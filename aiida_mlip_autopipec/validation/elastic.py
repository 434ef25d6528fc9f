"""Elastic constants from the stresses of strained cells, with internal relaxation from force constants."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from ase import Atoms, units
from ase.cell import Cell

from .crystals import ValidationCrystal
from .equation_of_state import equilibrium_name
from .measurement import Labels, Measurement, NotMeasurableError, Quantity, label_of
from .phonons import Displacements
from .symmetry import cartesian_rotations, conventional, independent_constants, symmetrised

STRAIN = 0.005
"""Size of a strain in Voigt notation."""

_VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
_SMALL = 1e-4
"""Relative difference up to which lattice constants, and difference (degree) up to which angles are equal."""


@dataclass(frozen=True)
class ElasticConstants:
    """The elastic constants of a crystal with relaxed ions, by linear response: no structure is relaxed.

    C_ij = dσ_i/dε_j by central differences at fixed fractional coordinates, minus ΛᵀΦ⁺Λ/V for the internal relaxation: Λ are
    the forces caused by a strain, Φ the force constants of the cell (Born and Huang, Dynamical Theory of Crystal Lattices,
    1954).
    """

    crystal: ValidationCrystal

    @cached_property
    def _displacements(self) -> Displacements | None:
        if len(self.crystal.atoms) == 1:
            return None
        return Displacements(self.crystal.atoms, np.eye(3, dtype=int), f"{self.crystal.name} displaced")

    def structures(self) -> dict[str, Atoms]:
        """Return 12 strained cells; if the cell has several atoms, cells with a displaced atom; and the cell of a phase."""
        found = {equilibrium_name(self.crystal): self.crystal.atoms.copy()} if self.crystal.given else {}
        found |= {
            self._name(index, sign): strained(self.crystal.atoms, index, sign * STRAIN)
            for index in range(6)
            for sign in (-1, 1)
        }
        return found | (self._displacements.structures() if self._displacements else {})

    def _name(self, index: int, sign: int) -> str:
        return f"{self.crystal.name} strain {index + 1}{'+' if sign > 0 else '-'}"

    def measure(self, labels: Labels) -> Measurement:
        """Return the independent constants (GPa), and the lattice parameters at zero stress of phases that are not cubic."""
        rotations = cartesian_rotations(self.crystal.atoms)
        reason, undefined = None, False
        try:
            constants = symmetrised(self.tensor(labels) / units.GPa, rotations)
            if np.linalg.eigvalsh(constants).min() <= 0:
                reason, undefined = f"{self.crystal.name} is elastically unstable", True
        except NotMeasurableError as error:
            constants, reason = np.full((6, 6), math.nan), str(error)
        name, floor = self.crystal.name, 0.1 * float(np.abs(constants).max())
        quantities = []
        for what, entry in independent_constants(rotations).items():
            value = float(constants[entry])
            scale = max(abs(value), floor)
            quantities.append(
                Quantity("elastic_constant", name, what, "GPa", value, reason, scale, undefined=undefined)
            )
        if self.crystal.given:
            quantities += self._lattice(labels, reason, undefined)
        return Measurement(quantities)

    def _lattice(self, labels: Labels, reason: str | None, undefined: bool) -> list[Quantity]:
        """Return the independent lattice parameters (Å, degree) at zero stress, except of cubic crystals.

        The strain is the linear response to the stress and the forces in the unstrained cell, with an error of second order in
        the strain.
        """
        cell = conventional(self.crystal.atoms).cell
        lengths, angles = cell.lengths(), cell.angles()
        free = [n for n in range(3) if not any(abs(lengths[n] / lengths[m] - 1) < _SMALL for m in range(n))]
        tilted = [n for n in range(3) if min(abs(angles[n] - 90), abs(angles[n] - 120)) > _SMALL]
        if len(free) == 1 and not tilted:
            return []
        values = np.full(6, math.nan)
        if reason is None:
            try:
                values = Cell(cell.array @ (np.eye(3) + self._strain_at_zero_stress(labels))).cellpar()
            except NotMeasurableError as error:
                reason = str(error)
        return [
            Quantity(kind, self.crystal.name, names[n], unit, float(values[first + n]), reason, undefined=undefined)
            for kind, names, unit, first, numbers in (
                ("lattice_constant", "abc", "Å", 0, free),
                ("lattice_angle", "αβγ", "°", 3, tilted),
            )
            for n in numbers
        ]

    def _strain_at_zero_stress(self, labels: Labels) -> np.ndarray:
        """Return the strain (3, 3) that relaxes the cell, with relaxed ions, by linear response."""
        atoms = label_of(labels, equilibrium_name(self.crystal))
        if "stress" not in atoms.calc.results:
            raise NotMeasurableError("there is no stress among the labels")
        stress = np.array(atoms.get_stress(), dtype=float)
        if self._displacements is not None:
            _, force = self._responses(labels)
            moved = np.linalg.pinv(self._hessian(labels), rcond=1e-6) @ atoms.get_forces().ravel()
            stress -= force.T @ moved / atoms.get_volume()
        voigt = -np.linalg.solve(self.tensor(labels), stress)
        if not np.isfinite(voigt).all():
            raise NotMeasurableError("stresses or forces are not finite")
        strain = np.diag(voigt[:3])
        for value, (i, j) in zip(voigt[3:], _VOIGT[3:], strict=True):
            strain[i, j] = strain[j, i] = value / 2
        return strain

    def tensor(self, labels: Labels, relaxed: bool = True) -> np.ndarray:
        """Return the elastic constants (6, 6) in eV/Å^3, in Voigt notation.

        :param relaxed: whether the ions are relaxed; otherwise they are clamped.
        :raises NotMeasurableError: if a label is missing or not finite.
        """
        stress, force = self._responses(labels)
        if relaxed and self._displacements is not None:
            inverse = np.linalg.pinv(self._hessian(labels), rcond=1e-6)
            stress = stress - force.T @ inverse @ force / self.crystal.atoms.get_volume()
        return (stress + stress.T) / 2

    def _responses(self, labels: Labels) -> tuple[np.ndarray, np.ndarray]:
        """Return the derivatives of the stress (6, 6) in eV/Å^3 and of the forces (3 n, 6) in eV/Å by the strain."""
        stress, force = np.empty((6, 6)), np.empty((3 * len(self.crystal.atoms), 6))
        for index in range(6):
            lower, upper = (label_of(labels, self._name(index, sign)) for sign in (-1, 1))
            if "stress" not in lower.calc.results or "stress" not in upper.calc.results:
                raise NotMeasurableError("there is no stress among the labels")
            stress[:, index] = (upper.get_stress() - lower.get_stress()) / (2 * STRAIN)
            force[:, index] = (upper.get_forces() - lower.get_forces()).ravel() / (2 * STRAIN)
        if not (np.isfinite(stress).all() and np.isfinite(force).all()):
            raise NotMeasurableError("stresses or forces are not finite")
        return stress, force

    def _hessian(self, labels: Labels) -> np.ndarray:
        """Return the force constants (3 n, 3 n) of the cell in eV/Å^2."""
        assert self._displacements is not None
        blocks = np.array(self._displacements.with_forces(labels).force_constants)
        size = 3 * len(self.crystal.atoms)
        return blocks.transpose(0, 2, 1, 3).reshape(size, size)


def strained(atoms: Atoms, index: int, strain: float) -> Atoms:
    """Return a crystal under one strain in Voigt notation (a shear strain is twice the tensor element)."""
    tensor = np.zeros((3, 3))
    i, j = _VOIGT[index]
    if i == j:
        tensor[i, i] = strain
    else:
        tensor[i, j] = tensor[j, i] = strain / 2
    deformed = atoms.copy()
    deformed.set_cell(atoms.cell.array @ (np.eye(3) + tensor), scale_atoms=True)
    return deformed
