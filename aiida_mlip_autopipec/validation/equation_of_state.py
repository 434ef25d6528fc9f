"""Equations of state: lattice constant, bulk modulus and energy of crystals at the energy minimum."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms, units
from ase.eos import EquationOfState

from .crystals import ValidationCrystal, scaled
from .hull import energies_above_hull
from .measurement import (
    Curve,
    Labels,
    Measurement,
    NotMeasurableError,
    Quantity,
    UndefinedError,
    energy_of,
    energy_or_nan,
)

LENGTH_STEP = 0.01
_MIN_POINTS = 5


@dataclass(frozen=True)
class _Minimum:
    volume: float
    energy: float
    bulk_modulus: float


@dataclass(frozen=True)
class CrystalCurves:
    """Equations of state of all crystals.

    :param references: names of the reference crystals, by element; energies are relative to these.
    :param n_each_side: number of points with smaller and with larger lattice constants, in steps of 1 %.
    :param with_atoms: whether free atoms are labelled, so that cohesive energies are computed.
    :param search_range: relative change of the lattice constant at two further points, which show whether there is a minimum
        beyond the other points.
    """

    crystals: Sequence[ValidationCrystal]
    references: dict[str, str]
    n_each_side: int = 3
    with_atoms: bool = False
    search_range: float | None = None

    def structures(self) -> dict[str, Atoms]:
        """Return each crystal at 2 `n_each_side` + 1 volumes and at those of the search range, by name."""
        found = {
            eos_name(crystal, step): scaled(crystal.atoms, math.exp(LENGTH_STEP * step))
            for crystal in self.crystals
            for step in self._steps
        }
        if self.search_range is not None:
            for crystal in self.crystals:
                for sign in (-1, 1):
                    found[_far_name(crystal, sign)] = scaled(crystal.atoms, math.exp(sign * self.search_range))
        return found

    @property
    def _steps(self) -> range:
        return range(-self.n_each_side, self.n_each_side + 1)

    def measure(self, labels: Labels) -> Measurement:
        """Return lattice constants (Å), bulk moduli (GPa) and energies (eV/atom) by the Birch-Murnaghan equation.

        Energies are relative to the reference crystal of the element, or formation energies of compounds.
        """
        result = Measurement()
        minima, reasons = self._minima(labels)
        for crystal in self.crystals:
            result.curves += self._curve(crystal, labels)
        for crystal in self.crystals:
            result.quantities += self._crystal_quantities(crystal, minima, reasons)
        if self.with_atoms:
            result.quantities += [
                self._cohesive_energy(element, labels, minima, reasons) for element in self.references
            ]
        result.quantities += self._hull_energies(minima, reasons)
        return result

    def _minima(self, labels: Labels) -> tuple[dict[str, _Minimum], dict[str, NotMeasurableError]]:
        """Return the minima by name of the crystal, and why the others have none."""
        minima: dict[str, _Minimum] = {}
        reasons: dict[str, NotMeasurableError] = {}
        for crystal in self.crystals:
            try:
                minima[crystal.name] = self._minimum(crystal, labels)
            except NotMeasurableError as error:
                reasons[crystal.name] = error
        return minima, reasons

    def _curve(self, crystal: ValidationCrystal, labels: Labels) -> list[Curve]:
        energies = np.array([energy_or_nan(labels, eos_name(crystal, step)) for step in self._steps]) / len(
            crystal.atoms
        )
        if np.isnan(energies).all():
            return []
        x = np.array([scaled(crystal.atoms, math.exp(LENGTH_STEP * step)).get_volume() for step in self._steps])
        y = energies - np.nanmin(energies)
        return [
            Curve(
                crystal.name,
                "equation_of_state",
                "volume (Å^3/atom)",
                "energy above the minimum (eV/atom)",
                x / len(crystal.atoms),
                y,
            )
        ]

    def _minimum(self, crystal: ValidationCrystal, labels: Labels) -> _Minimum:
        names = [eos_name(crystal, step) for step in self._steps]
        missing = [name for name in names if math.isnan(energy_or_nan(labels, name))]
        present = [name for name in names if name not in missing]
        if len(present) < _MIN_POINTS:
            raise NotMeasurableError(f"'{missing[0]}' has no label")
        energies = [energy_of(labels, name) for name in present]
        volumes = [labels[name].get_volume() for name in present]
        if int(np.argmin(energies)) in (0, len(energies) - 1):
            self._check_for_minimum(crystal, labels, energies)
            raise NotMeasurableError(
                f"no energy minimum between {min(volumes) / len(crystal.atoms):.2f} and "
                f"{max(volumes) / len(crystal.atoms):.2f} Å^3/atom, the range around the minimum of the potential"
            )
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                volume, energy, modulus = EquationOfState(volumes, energies, eos="birchmurnaghan").fit()
        except (RuntimeError, ValueError) as error:
            raise NotMeasurableError(f"no equation of state fits the energies: {error}") from error
        if not min(volumes) < volume < max(volumes) or modulus <= 0:
            raise NotMeasurableError("the fitted equation of state has no minimum among the volumes")
        return _Minimum(volume, energy / len(crystal.atoms), modulus / units.GPa)

    def _check_for_minimum(self, crystal: ValidationCrystal, labels: Labels, energies: list[float]) -> None:
        """Raise an UndefinedError if the energy is lowest at an end of the points and still lower at the end of the range."""
        sign = -1 if int(np.argmin(energies)) == 0 else 1
        far = energy_or_nan(labels, _far_name(crystal, sign))
        if self.search_range is not None and far < min(energies):
            raise UndefinedError(
                f"{crystal.name} has no energy minimum within {100 * self.search_range:.0f} % of the lattice constant of "
                "the potential"
            )

    def _crystal_quantities(
        self, crystal: ValidationCrystal, minima: dict[str, _Minimum], reasons: dict[str, NotMeasurableError]
    ) -> list[Quantity]:
        name, found = crystal.name, minima.get(crystal.name)
        volume = modulus = energy = math.nan
        if found is not None:
            volume, modulus = found.volume, found.bulk_modulus
        quantities = [
            _quantity("lattice_constant", name, *_length(crystal, volume), reasons.get(name)),
            _quantity("bulk_modulus", name, "B", "GPa", modulus, reasons.get(name)),
        ]
        symbols = crystal.atoms.get_chemical_symbols()
        if name in self.references.values() or not self.references.keys() >= set(symbols):
            return quantities
        references = [self.references[symbol] for symbol in symbols]
        missing = next((reasons[each] for each in (name, *references) if each in reasons), None)
        if missing is None and found is not None:
            energy = found.energy - float(np.mean([minima[reference].energy for reference in references]))
        what = "energy of formation" if len(crystal.elements) > 1 else f"energy above {self.references[symbols[0]]}"
        return [*quantities, _quantity("crystal_energy", name, what, "eV/atom", energy, missing)]

    def _cohesive_energy(
        self, element: str, labels: Labels, minima: dict[str, _Minimum], reasons: dict[str, NotMeasurableError]
    ) -> Quantity:
        name, value = self.references[element], math.nan
        reason = reasons.get(name)
        try:
            free = energy_of(labels, atom_name(element))
            if reason is None:
                value = free - minima[name].energy
        except NotMeasurableError as error:
            reason = error
        return _quantity("cohesive_energy", name, "cohesive energy", "eV/atom", value, reason)

    def _hull_energies(self, minima: dict[str, _Minimum], reasons: dict[str, NotMeasurableError]) -> list[Quantity]:
        """Return the energy of each phase above the convex hull of those that have a minimum, if there are several phases."""
        phases = [crystal for crystal in self.crystals if crystal.given]
        if len(phases) < 2:
            return []
        known = [crystal for crystal in phases if crystal.name in minima]
        values = energies_above_hull([c.atoms for c in known], [minima[c.name].energy for c in known])
        above = {crystal.name: value for crystal, value in zip(known, values, strict=True)}
        return [
            _quantity(
                "hull_energy",
                c.name,
                "energy above the hull",
                "eV/atom",
                above.get(c.name, math.nan),
                reasons.get(c.name),
            )
            for c in phases
        ]


def _quantity(
    kind: str, structure: str, name: str, unit: str, value: float, error: NotMeasurableError | None
) -> Quantity:
    reason = None if error is None else str(error)
    return Quantity(kind, structure, name, unit, value, reason, undefined=isinstance(error, UndefinedError))


def _length(crystal: ValidationCrystal, volume: float) -> tuple[str, str, float]:
    """Return name, unit and value of the lattice constant of a crystal at the volume (Å^3) of its cell."""
    if not crystal.given:
        return "a", "Å", crystal.lattice_constant * (volume / crystal.atoms.get_volume()) ** (1 / 3)
    conventional = crystal.conventional()
    lengths = conventional.cell.lengths()
    if np.allclose(lengths, lengths[0]) and np.allclose(conventional.cell.angles(), 90):
        return "a", "Å", float(lengths[0]) * (volume / crystal.atoms.get_volume()) ** (1 / 3)
    # The shape of the cell is that of the potential; its lattice parameters follow from stresses.
    return "(V/atom)^(1/3)", "Å", (volume / len(crystal.atoms)) ** (1 / 3)


def eos_name(crystal: ValidationCrystal, step: int) -> str:
    """Return the name of a crystal with lattice constants `step` percent larger than in the validation."""
    return f"{crystal.name} size {step:+d}"


def equilibrium_name(crystal: ValidationCrystal) -> str:
    """Return the name of a crystal at the lattice constants of the validation."""
    return eos_name(crystal, 0)


def atom_name(element: str) -> str:
    """Return the name of a free atom."""
    return f"{element} atom"


def _far_name(crystal: ValidationCrystal, sign: int) -> str:
    return f"{crystal.name} size {'+' if sign > 0 else '-'}far"
