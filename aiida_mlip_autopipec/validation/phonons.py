"""Force constants by finite displacements (phonopy), and phonon frequencies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms

from .crystals import ValidationCrystal
from .measurement import Curve, Labels, Measurement, NotMeasurableError, Quantity, label_of

if TYPE_CHECKING:
    from phonopy import Phonopy
    from phonopy.structure.atoms import PhonopyAtoms

DISPLACEMENT = 0.02
"""Displacement (Å) of an atom."""

IMAGINARY = -0.3
"""Frequency (THz) below which a crystal is unstable; above it are errors of the interpolation near the zone centre."""

_PATH_POINTS = 60


class Displacements:
    """The symmetry-inequivalent displaced supercells for the force constants of a crystal.

    :param repeats: (3, 3) the vectors of the supercell in units of those of the cell.
    :param prefix: prefix of the names of the supercells.
    """

    def __init__(self, atoms: Atoms, repeats: np.ndarray, prefix: str) -> None:
        from phonopy import Phonopy

        self._phonopy = Phonopy(to_phonopy(atoms), supercell_matrix=repeats, primitive_matrix=np.eye(3))
        self._phonopy.generate_displacements(distance=DISPLACEMENT)
        self._prefix = prefix

    def structures(self) -> dict[str, Atoms]:
        """Return the displaced supercells by name."""
        return {self._name(number): to_ase(supercell) for number, supercell in enumerate(self._supercells)}

    @property
    def _supercells(self) -> list[Any]:
        return [cell for cell in self._phonopy.supercells_with_displacements or [] if cell is not None]

    def _name(self, number: int) -> str:
        return f"{self._prefix} {number}"

    def with_forces(self, labels: Labels) -> Phonopy:
        """Return a `Phonopy` object with the force constants.

        :raises NotMeasurableError: if a label is missing.
        """
        forces = [label_of(labels, self._name(number)).get_forces() for number in range(len(self._supercells))]
        if not np.isfinite(forces).all():
            raise NotMeasurableError(f"forces of '{self._prefix}' are not finite")
        # The mean force of a supercell is no restoring force; removing it keeps the acoustic sum rule.
        self._phonopy.forces = np.array([force - force.mean(axis=0) for force in forces])
        self._phonopy.produce_force_constants()
        self._phonopy.symmetrize_force_constants()
        return self._phonopy


@dataclass(frozen=True)
class Phonons:
    """The phonons of a crystal at points of the zone boundary.

    :param max_atoms: largest number of atoms in a supercell.
    :param n_points: largest number of points for which smaller supercells are made, if one for all is too large.
    """

    crystal: ValidationCrystal
    max_atoms: int
    n_points: int = 3

    @cached_property
    def _supercells(self) -> list[tuple[Displacements, dict[str, np.ndarray]]]:
        """The displaced supercells, and the points at which they give exact frequencies."""
        special = self.crystal.atoms.cell.bandpath(npoints=2).special_points
        boundary = {name: q for name, q in special.items() if np.abs(q).max() > 0}
        centre = {"Γ": np.zeros(3)}
        if self._repeats is not None:
            points = {name: q for name, q in boundary.items() if _is_commensurate(self._repeats, q)}
            return [(self._displacements(self._repeats, ""), points or centre)]
        found: list[tuple[Displacements, dict[str, np.ndarray]]] = []
        for name, q in boundary.items():
            repeats = np.diag([_denominator(value) for value in q])
            if len(found) < self.n_points and np.linalg.det(repeats) * len(self.crystal.atoms) <= self.max_atoms + 0.5:
                found.append((self._displacements(repeats, f" {name}"), {name: q}))
        return found or [(self._displacements(np.eye(3, dtype=int), ""), centre)]

    def _displacements(self, repeats: np.ndarray, which: str) -> Displacements:
        return Displacements(self.crystal.atoms, repeats, f"{self.crystal.name} phonon{which}")

    @cached_property
    def _repeats(self) -> np.ndarray | None:
        """The vectors of one supercell (3, 3) for all points in units of those of the cell, None if it has too many atoms.

        It is twice the conventional cell or, with too many atoms, twice the cell along each direction, so that points of the
        zone boundary are commensurate.
        """
        atoms, conventional = self.crystal.atoms, self.crystal.conventional()
        if 8 * len(conventional) <= self.max_atoms:
            return np.rint(2 * conventional.cell.array @ np.linalg.inv(atoms.cell.array)).astype(int)
        return np.eye(3, dtype=int) * 2 if 8 * len(atoms) <= self.max_atoms else None

    def structures(self) -> dict[str, Atoms]:
        """Return the displaced supercells by name."""
        return {name: atoms for each, _ in self._supercells for name, atoms in each.structures().items()}

    def measure(self, labels: Labels) -> Measurement:
        """Return phonon frequencies (THz).

        The quantities are the highest frequency, with all branches as the curve to compare, at each special point of the zone
        boundary that is commensurate with a supercell, where the frequencies are exact (of large cells, at the centre); and the
        lowest frequency, along the path between the special points if one supercell has several of them. The curves are the
        dispersion along this path.
        """
        name = self.crystal.name
        points = [point for _, points in self._supercells for point in points]
        try:
            found = [(each.with_forces(labels), points) for each, points in self._supercells]
        except NotMeasurableError as error:
            quantities = [
                Quantity("phonon_frequency", name, f"highest at {point}", "THz", math.nan, str(error))
                for point in points
            ]
            lowest = Quantity("imaginary_frequency", name, "lowest frequency", "THz", math.nan, str(error))
            return Measurement([*quantities, lowest])
        at_points = {point: _frequencies(phonopy, [q])[0] for phonopy, points in found for point, q in points.items()}
        curves = self._dispersion(found[0][0]) if self._repeats is not None else []
        every = [*at_points.values(), *(curve.y for curve in curves)]
        lowest_value = min((float(values.min()) for values in every), default=math.nan)
        unstable = lowest_value < IMAGINARY
        reason = f"{name} has imaginary frequencies down to {lowest_value:.2f} THz" if unstable else None
        highest = max((float(np.abs(values).max()) for values in at_points.values()), default=math.nan)
        quantities = [
            Quantity(
                "phonon_frequency",
                name,
                f"highest at {point}",
                "THz",
                float(values[-1]),
                reason,
                highest,
                values,
                undefined=unstable,
            )
            for point, values in at_points.items()
        ]
        quantities.append(
            Quantity("imaginary_frequency", name, "lowest frequency", "THz", lowest_value, reason, undefined=unstable)
        )
        return Measurement(quantities, curves)

    def _dispersion(self, phonopy: Phonopy) -> list[Curve]:
        path = self.crystal.atoms.cell.bandpath(npoints=_PATH_POINTS)
        frequencies, x = _frequencies(phonopy, path.kpts), path.get_linear_kpoint_axis()[0]
        x_label = f"wave vector along {path.path}"
        return [
            Curve(f"{self.crystal.name} branch {branch + 1}", "phonons", x_label, "frequency (THz)", x, values)
            for branch, values in enumerate(frequencies.T)
        ]


def _denominator(value: float) -> int:
    """Return the smallest whole number that makes a fraction whole: 2 for 1/2."""
    return Fraction(value).limit_denominator(6).denominator


def _is_commensurate(repeats: np.ndarray, q: np.ndarray) -> bool:
    """Return whether a wave vector (3,), in units of the reciprocal vectors, is commensurate with the supercell."""
    phases = repeats @ q
    return bool(np.allclose(phases, np.rint(phases), atol=1e-6))


def _frequencies(phonopy: Phonopy, wave_vectors: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    """Return frequencies (points, branches) in THz, ascending; imaginary frequencies are negative."""
    phonopy.run_qpoints(np.array(wave_vectors))
    return np.sort(np.array(phonopy.get_qpoints_dict()["frequencies"]), axis=1)


def to_phonopy(atoms: Atoms) -> PhonopyAtoms:
    """Return a crystal as phonopy and phono3py take it."""
    from phonopy.structure.atoms import PhonopyAtoms

    return PhonopyAtoms(
        symbols=atoms.get_chemical_symbols(),
        cell=atoms.cell.array,
        scaled_positions=atoms.get_scaled_positions(),
        masses=atoms.get_masses(),
    )


def to_ase(crystal: PhonopyAtoms) -> Atoms:
    """Return a crystal of phonopy or phono3py."""
    return Atoms(crystal.symbols, cell=crystal.cell, scaled_positions=crystal.scaled_positions, pbc=True)
