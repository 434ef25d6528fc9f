"""The energy of a generalised stacking fault of a cubic crystal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import make_supercell
from ase.constraints import FixedLine

from ..config.schemas.properties import StackingFaultSettings
from ..validation.cuts import middle_of_widest_gap
from ..validation.symmetry import conventional
from .crystals import energy, relax_positions
from .model import Line, NotComputableError, Panel, Plot, Property, Result, Value

_MJ_PER_M2 = 16021.76634
"""mJ/m^2 per eV/Å^2."""

_SLIPS = {(1, 1, 1): (0.5, 0.5, -1.0), (1, 1, 0): (-0.5, 0.5, 0.5)}
"""Slip by plane, in units of the cubic lattice constant."""


class StackingFault(Property):
    """Energy per area against the slip of two half crystals (Vítek, Philos. Mag. 18, 773 (1968)).

    The fault is at the boundary of a periodic cell whose third vector is tilted by the slip, so that there is one fault and
    no surface. Atoms relax perpendicular to the plane.
    """

    name = "stacking_fault"
    Settings = StackingFaultSettings

    def measure(self, name: str, structures: Mapping[str, Atoms], calculator: Any) -> Result:
        """Return the maximum of the curve, its lowest inner minimum (mJ/m^2) and the slip there, and the curve."""
        crystal = conventional(structures[name])
        if (
            crystal.cell.get_bravais_lattice().crystal_family != "cubic"
            or len(set(np.round(crystal.cell.lengths(), 6))) > 1
        ):
            raise NotComputableError("only cubic crystals are supported")
        plane, slip = self._system(structures[name], crystal)
        block = _block(crystal, plane, self.settings.layers)
        shift = np.array(slip) @ crystal.cell.array
        fractions = np.linspace(0.0, 1.0, self.settings.points)
        energies = np.array([self._energy(block, fraction * shift, calculator) for fraction in fractions])
        area = float(np.linalg.norm(np.cross(block.cell[0], block.cell[1])))
        gamma = (energies - energies[0]) / area * _MJ_PER_M2
        inner = [n for n in range(1, len(gamma) - 1) if gamma[n] < gamma[n - 1] and gamma[n] < gamma[n + 1]]
        values = [Value("unstable fault energy, maximum of the curve", float(gamma.max()), "mJ/m^2")]
        if inner:
            stable = min(inner, key=lambda n: gamma[n])
            values.append(Value("intrinsic fault energy, lowest inner minimum", float(gamma[stable]), "mJ/m^2"))
            values.append(Value("slip at the minimum", float(fractions[stable]), ""))
        indices = "".join(map(str, plane))
        label = f"slip along [{' '.join(f'{x:.3g}' for x in slip)}] a ({indices})"
        panel = Panel(label, "energy (mJ/m$^2$)", [Line(fractions, gamma, points=True)])
        return Result(self.name, name, values, [Plot("stacking fault", [panel])])

    def _system(self, primitive: Atoms, crystal: Atoms) -> tuple[tuple[int, int, int], tuple[float, float, float]]:
        body_centred = len(crystal) == 2 * len(primitive)
        plane = self.settings.plane or ((1, 1, 0) if body_centred else (1, 1, 1))
        slip = self.settings.slip or _SLIPS.get(plane)
        if slip is None:
            raise NotComputableError(f"there is no default slip on the plane {plane}: set stacking_fault.slip")
        if abs(np.dot(plane, slip)) > 1e-6:
            raise NotComputableError(f"the slip {slip} is not in the plane {plane}: their scalar product must be 0")
        return plane, slip

    def _energy(self, block: Atoms, shift: np.ndarray, calculator: Any) -> float:
        faulted = block.copy()
        cell = block.cell.array.copy()
        cell[2] += shift
        faulted.set_cell(cell, scale_atoms=False)
        normal = np.cross(cell[0], cell[1])
        faulted.set_constraint(FixedLine(list(range(len(faulted))), normal / np.linalg.norm(normal)))
        return energy(relax_positions(faulted, calculator, self.settings.max_force), calculator)


def _block(crystal: Atoms, plane: tuple[int, int, int], layers: int) -> Atoms:
    """Return a cell with two vectors in the plane and the third along its normal, with the boundary between atomic planes."""
    h, k, l = plane
    first = np.array([k, -h, 0]) if h or k else np.array([1, 0, 0])
    second = np.cross(plane, first)
    second = second // max(1, int(np.gcd.reduce(np.abs(second))))
    first = first // max(1, int(np.gcd.reduce(np.abs(first))))
    matrix = np.array([first, second, np.array([h, k, l])])
    block = make_supercell(crystal, matrix if np.linalg.det(matrix) > 0 else matrix[[1, 0, 2]]).repeat((1, 1, layers))
    fractions = block.get_scaled_positions()
    block.set_scaled_positions((fractions - [0, 0, middle_of_widest_gap(fractions[:, 2])]) % 1.0)
    return block
