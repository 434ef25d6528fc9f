"""Lattice parameters, energy and equation of state of a crystal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ase import Atoms

from ..config.schemas.properties import LatticeSettings
from ..validation.equation_of_state import LENGTH_STEP, CrystalCurves
from ..validation.symmetry import conventional, symmetry_of
from .crystals import evaluated, validation_crystal
from .model import Line, Panel, Plot, Property, Result, Value

FIRST_CUBIC = 195
"""Number of the first cubic space group."""

ZERO = "the energy is relative to free atoms, whose energies are in metrics.json"


class Lattice(Property):
    """Lattice parameters, energy per atom, and the bulk modulus by a Birch-Murnaghan equation of state."""

    name = "lattice"
    Settings = LatticeSettings

    def measure(self, name: str, structures: Mapping[str, Atoms], calculator: Any) -> Result:
        """Return a, b, c (Å) and angles (only a if cubic), volume, energy, bulk modulus (GPa), and the curve."""
        crystal = structures[name]
        n_each_side = max(3, round(self.settings.max_strain / LENGTH_STEP))
        curves = CrystalCurves([validation_crystal(name, crystal)], {"": name}, n_each_side)
        measured = curves.measure(evaluated(curves.structures(), calculator))
        modulus = next(quantity for quantity in measured.quantities if quantity.kind == "bulk_modulus")
        lengths, angles = conventional(crystal).cell.lengths(), conventional(crystal).cell.angles()
        own = crystal.copy()
        own.calc = calculator
        symmetry = symmetry_of(crystal)
        values = [Value("space group", symmetry.international, "")]
        if symmetry.number >= FIRST_CUBIC:
            values.append(Value("a", float(lengths[0]), "Å"))
        else:
            values += [Value(key, float(length), "Å") for key, length in zip("abc", lengths, strict=True)]
            values += [Value(key, float(angle), "°") for key, angle in zip(("α", "β", "γ"), angles, strict=True)]
        values += [
            Value("volume", crystal.get_volume() / len(crystal), "Å^3/atom"),
            Value("energy", own.get_potential_energy() / len(crystal), "eV/atom"),
            Value("bulk modulus", modulus.value, "GPa"),
        ]
        plots = [
            Plot("equation of state", [Panel(curve.x_label, curve.y_label, [Line(curve.x, curve.y, points=True)])])
            for curve in measured.curves
        ]
        return Result(self.name, name, values, plots, notes=[ZERO, *([modulus.reason] if modulus.reason else [])])
