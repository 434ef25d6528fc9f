"""Force constants by finite displacements (phonopy), and phonon frequencies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms

from .crystals import SizedCrystal
from .measurement import Curve, Labels, Measurement, NotMeasurableError, Quantity, label_of

if TYPE_CHECKING:
    from phonopy import Phonopy
    from phonopy.structure.atoms import PhonopyAtoms

DISPLACEMENT = 0.02
"""Displacement (Å) of an atom."""

_PATH_POINTS = 60


class Displacements:
    """The symmetry-inequivalent displaced supercells for the force constants of a crystal.

    :param repeats: (3, 3) the vectors of the supercell in units of those of the cell.
    :param prefix: prefix of the names of the supercells.
    """

    def __init__(self, cell: Atoms, repeats: np.ndarray, prefix: str) -> None:
        from phonopy import Phonopy

        self._phonopy = Phonopy(_to_phonopy(cell), supercell_matrix=repeats, primitive_matrix=np.eye(3))
        self._phonopy.generate_displacements(distance=DISPLACEMENT)
        self._prefix = prefix

    def structures(self) -> dict[str, Atoms]:
        """Return the displaced supercells by name."""
        return {self._name(number): _to_ase(cell) for number, cell in enumerate(self._cells)}

    @property
    def _cells(self) -> list[Any]:
        return [cell for cell in self._phonopy.supercells_with_displacements or [] if cell is not None]

    def _name(self, number: int) -> str:
        return f"{self._prefix} {number}"

    def with_forces(self, labels: Labels) -> Phonopy:
        """Return a `Phonopy` object with the force constants.

        :raises NotMeasurableError: if a label is missing.
        """
        forces = [label_of(labels, self._name(number)).get_forces() for number in range(len(self._cells))]
        if not np.isfinite(forces).all():
            raise NotMeasurableError(f"forces of '{self._prefix}' are not finite")
        # The mean force of a supercell is no restoring force; removing it keeps the acoustic sum rule.
        self._phonopy.forces = np.array([force - force.mean(axis=0) for force in forces])
        self._phonopy.produce_force_constants()
        self._phonopy.symmetrize_force_constants()
        return self._phonopy


@dataclass(frozen=True)
class Phonons:
    """The phonons of a crystal.

    :param max_atoms: largest number of atoms in the supercell.
    """

    crystal: SizedCrystal
    max_atoms: int

    @cached_property
    def _displacements(self) -> Displacements:
        return Displacements(self.crystal.cell, self.repeats, f"{self.crystal.name} phonon")

    @cached_property
    def repeats(self) -> np.ndarray:
        """The vectors of the supercell (3, 3) in units of those of the cell.

        The supercell is twice the conventional cell or, with too many atoms, twice the cell along each direction, so that
        points of the zone boundary are commensurate.
        """
        cell, conventional = self.crystal.cell, self.crystal.conventional()
        if 8 * len(conventional) <= self.max_atoms:
            return np.rint(2 * conventional.cell.array @ np.linalg.inv(cell.cell.array)).astype(int)
        return np.eye(3, dtype=int) * (2 if 8 * len(cell) <= self.max_atoms else 1)

    def structures(self) -> dict[str, Atoms]:
        """Return the displaced supercells by name."""
        return self._displacements.structures()

    def measure(self, labels: Labels) -> Measurement:
        """Return phonon frequencies (THz).

        The quantities are the highest frequency, with all branches as the curve to compare, at each special point of the zone
        boundary that is commensurate with the supercell, where the frequencies are exact; and the lowest frequency along the
        path between the special points. The curves are the dispersion along this path.
        """
        result = Measurement()
        points = self._boundary_points()
        name = self.crystal.name
        try:
            phonopy = self._displacements.with_forces(labels)
        except NotMeasurableError as error:
            result.quantities = [
                Quantity("phonon_frequency", name, f"highest at {point}", "THz", math.nan, str(error))
                for point in points
            ] + [Quantity("imaginary_frequency", name, "lowest frequency", "THz", math.nan, str(error))]
            return result
        at_points = {point: _frequencies(phonopy, [q])[0] for point, q in points.items()}
        highest = max((float(np.abs(values).max()) for values in at_points.values()), default=math.nan)
        result.quantities = [
            Quantity("phonon_frequency", name, f"highest at {point}", "THz", values[-1], None, highest, values)
            for point, values in at_points.items()
        ]
        path = self.crystal.cell.cell.bandpath(npoints=_PATH_POINTS)
        frequencies = _frequencies(phonopy, path.kpts)
        result.quantities.append(
            Quantity("imaginary_frequency", name, "lowest frequency", "THz", float(frequencies.min()))
        )
        x = path.get_linear_kpoint_axis()[0]
        x_label = f"wave vector along {path.path}"
        result.curves = [
            Curve(f"{name} branch {branch + 1}", "phonons", x_label, "frequency (THz)", x, frequencies[:, branch])
            for branch in range(3 * len(self.crystal.cell))
        ]
        return result

    def _boundary_points(self) -> dict[str, np.ndarray]:
        special = self.crystal.cell.cell.bandpath(npoints=2).special_points
        return {
            name: q
            for name, q in special.items()
            if name != "G" and np.abs(q).max() > 0 and _is_commensurate(self.repeats, q)
        }


def _is_commensurate(repeats: np.ndarray, q: np.ndarray) -> bool:
    """Return whether a wave vector (3,), in units of the reciprocal vectors, is commensurate with the supercell."""
    phases = repeats @ q
    return bool(np.allclose(phases, np.rint(phases), atol=1e-6))


def _frequencies(phonopy: Phonopy, wave_vectors: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    """Return frequencies (points, branches) in THz, ascending; imaginary frequencies are negative."""
    phonopy.run_qpoints(np.array(wave_vectors))
    return np.sort(np.array(phonopy.get_qpoints_dict()["frequencies"]), axis=1)


def _to_phonopy(atoms: Atoms) -> PhonopyAtoms:
    from phonopy.structure.atoms import PhonopyAtoms

    return PhonopyAtoms(
        symbols=atoms.get_chemical_symbols(),
        cell=atoms.cell.array,
        scaled_positions=atoms.get_scaled_positions(),
        masses=atoms.get_masses(),
    )


def _to_ase(cell: PhonopyAtoms) -> Atoms:
    return Atoms(cell.symbols, cell=cell.cell, scaled_positions=cell.scaled_positions, pbc=True)
