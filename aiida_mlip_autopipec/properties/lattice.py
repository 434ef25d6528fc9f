"""Lattice parameters, energy and equation of state of a crystal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ase import Atoms

from ..config.schemas.properties import LatticeSettings
from ..validation.equation_of_state import LENGTH_STEP, CrystalCurves
from ..validation.symmetry import conventional, symmetry_of
from .crystals import labels, sized
from .model import Line, Panel, Plot, Property, Result, Value


class Lattice(Property):
    """Lattice parameters, energy per atom, and the bulk modulus by a Birch-Murnaghan equation of state."""

    name = "lattice"
    Settings = LatticeSettings

    def measure(self, name: str, structures: Mapping[str, Atoms], calculator: Any) -> Result:
        """Return a, b, c (Å), angles (degree), volume, energy, bulk modulus (GPa), and the curve."""
        cell = structures[name]
        half = max(3, round(self.settings.max_strain / LENGTH_STEP))
        curves = CrystalCurves([sized(name, cell)], {"": name}, half)
        measured = curves.measure(labels(curves.structures(), calculator))
        modulus = next(quantity for quantity in measured.quantities if quantity.kind == "bulk_modulus")
        lengths, angles = conventional(cell).cell.lengths(), conventional(cell).cell.angles()
        own = cell.copy()
        own.calc = calculator
        values = [Value("space group", symmetry_of(cell).international, "")]
        values += [Value(key, float(length), "Å") for key, length in zip("abc", lengths, strict=True)]
        values += [Value(key, float(angle), "degree") for key, angle in zip(("α", "β", "γ"), angles, strict=True)]
        values += [
            Value("volume", cell.get_volume() / len(cell), "Å^3/atom"),
            Value("energy", own.get_potential_energy() / len(cell), "eV/atom"),
            Value("bulk modulus", modulus.value, "GPa"),
        ]
        plots = [
            Plot("equation of state", [Panel(curve.x_label, curve.y_label, [Line(curve.x, curve.y, points=True)])])
            for curve in measured.curves
        ]
        return Result(self.name, name, values, plots, notes=[modulus.reason] if modulus.reason else [])
