"""Equations of state: lattice constant, bulk modulus and energy of crystals at the energy minimum."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms, units
from ase.eos import EquationOfState

from .crystals import SizedCrystal, scaled
from .measurement import Curve, Labels, Measurement, NotMeasurableError, Quantity, energy_of, energy_or_nan

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
    :param half: number of points with smaller and with larger lattice constants, in steps of 1 %.
    :param with_atoms: whether free atoms are labelled, so that cohesive energies are computed.
    """

    crystals: Sequence[SizedCrystal]
    references: dict[str, str]
    half: int = 3
    with_atoms: bool = False

    def structures(self) -> dict[str, Atoms]:
        """Return each crystal at 2 `half` + 1 volumes, by name."""
        return {
            eos_name(crystal, step): scaled(crystal.cell, math.exp(LENGTH_STEP * step))
            for crystal in self.crystals
            for step in self._steps
        }

    @property
    def _steps(self) -> range:
        return range(-self.half, self.half + 1)

    def measure(self, labels: Labels) -> Measurement:
        """Return lattice constants (Å), bulk moduli (GPa) and energies (eV/atom) by the Birch-Murnaghan equation.

        Energies are relative to the reference crystal of the element, or formation energies of compounds.
        """
        result = Measurement()
        minima: dict[str, _Minimum] = {}
        reasons: dict[str, str] = {}
        for crystal in self.crystals:
            result.curves += self._curve(crystal, labels)
            try:
                minima[crystal.name] = self._minimum(crystal, labels)
            except NotMeasurableError as error:
                reasons[crystal.name] = str(error)
        for crystal in self.crystals:
            result.quantities += self._crystal_quantities(crystal, minima, reasons)
        if self.with_atoms:
            result.quantities += [
                self._cohesive_energy(element, labels, minima, reasons) for element in self.references
            ]
        return result

    def _curve(self, crystal: SizedCrystal, labels: Labels) -> list[Curve]:
        energies = np.array([energy_or_nan(labels, eos_name(crystal, step)) for step in self._steps]) / len(
            crystal.cell
        )
        if np.isnan(energies).all():
            return []
        x = np.array([scaled(crystal.cell, math.exp(LENGTH_STEP * step)).get_volume() for step in self._steps])
        y = energies - np.nanmin(energies)
        return [
            Curve(
                crystal.name,
                "equation_of_state",
                "volume (Å^3/atom)",
                "energy above the minimum (eV/atom)",
                x / len(crystal.cell),
                y,
            )
        ]

    def _minimum(self, crystal: SizedCrystal, labels: Labels) -> _Minimum:
        names = [eos_name(crystal, step) for step in self._steps]
        missing = [name for name in names if math.isnan(energy_or_nan(labels, name))]
        present = [name for name in names if name not in missing]
        if len(present) < _MIN_POINTS:
            raise NotMeasurableError(f"'{missing[0]}' has no label")
        energies = [energy_of(labels, name) for name in present]
        volumes = [labels[name].get_volume() for name in present]
        if int(np.argmin(energies)) in (0, len(energies) - 1):
            raise NotMeasurableError(
                f"no minimum between {min(volumes) / len(crystal.cell):.2f} and {max(volumes) / len(crystal.cell):.2f} "
                "Å^3/atom, around that of the potential"
            )
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                volume, energy, modulus = EquationOfState(volumes, energies, eos="birchmurnaghan").fit()
        except (RuntimeError, ValueError) as error:
            raise NotMeasurableError(f"no equation of state fits the energies: {error}") from error
        if not min(volumes) < volume < max(volumes) or modulus <= 0:
            raise NotMeasurableError("the fitted equation of state has no minimum among the volumes")
        return _Minimum(volume, energy / len(crystal.cell), modulus / units.GPa)

    def _crystal_quantities(
        self, crystal: SizedCrystal, minima: dict[str, _Minimum], reasons: dict[str, str]
    ) -> list[Quantity]:
        name, found = crystal.name, minima.get(crystal.name)
        lattice = modulus = energy = math.nan
        if found is not None:
            lattice = crystal.lattice_constant * (found.volume / crystal.cell.get_volume()) ** (1 / 3)
            modulus = found.bulk_modulus
        quantities = [
            Quantity("lattice_constant", name, "a", "Å", lattice, reasons.get(name)),
            Quantity("bulk_modulus", name, "B", "GPa", modulus, reasons.get(name)),
        ]
        if name in self.references.values():
            return quantities
        symbols = crystal.cell.get_chemical_symbols()
        references = [self.references[symbol] for symbol in symbols]
        missing = next((reasons[each] for each in (name, *references) if each in reasons), None)
        if missing is None and found is not None:
            energy = found.energy - float(np.mean([minima[reference].energy for reference in references]))
        what = "energy of formation" if len(crystal.elements) > 1 else f"energy above {self.references[symbols[0]]}"
        return [*quantities, Quantity("crystal_energy", name, what, "eV/atom", energy, missing)]

    def _cohesive_energy(
        self, element: str, labels: Labels, minima: dict[str, _Minimum], reasons: dict[str, str]
    ) -> Quantity:
        name = self.references[element]
        try:
            free = energy_of(labels, atom_name(element))
            if name in reasons:
                raise NotMeasurableError(reasons[name])
            return Quantity("cohesive_energy", name, "cohesive energy", "eV/atom", free - minima[name].energy)
        except NotMeasurableError as error:
            return Quantity("cohesive_energy", name, "cohesive energy", "eV/atom", math.nan, str(error))


def eos_name(crystal: SizedCrystal, step: int) -> str:
    """Return the name of a crystal with lattice constants `step` percent larger than in the validation."""
    return f"{crystal.name} size {step:+d}"


def equilibrium_name(crystal: SizedCrystal) -> str:
    """Return the name of a crystal at the lattice constants of the validation."""
    return eos_name(crystal, 0)


def atom_name(element: str) -> str:
    """Return the name of a free atom."""
    return f"{element} atom"
