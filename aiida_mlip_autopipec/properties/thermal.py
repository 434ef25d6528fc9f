"""Thermal expansion and free energy by the quasi-harmonic approximation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from ase import Atoms

from ..config.schemas.properties import ThermalSettings
from ..validation.crystals import scaled
from .crystals import energy, relax_positions
from .model import Line, Panel, Plot, Property, Result, Value
from .phonons import ACOUSTIC, force_constants

_ROOM, _STEP = 300.0, 10.0
"""Temperature (K) of the listed values, and step (K) of the curves."""


class ThermalExpansion(Property):
    """Volume, thermal expansion, bulk modulus and heat capacity against temperature (phonopy's quasi-harmonic approximation).

    The cell keeps its shape: for crystals that are not cubic this is an approximation.
    """

    name = "thermal_expansion"
    Settings = ThermalSettings

    def measure(self, name: str, structures: Mapping[str, Atoms], calculator: Any) -> Result:
        """Return quantities at 300 K, and their curves."""
        quasi = self._quasi_harmonic(structures[name], calculator)
        n_atoms = len(structures[name])
        temperatures = np.arange(0.0, self.settings.max_temperature + _STEP / 2, _STEP)
        curves = {
            ("volume", "Å^3/atom"): np.asarray(quasi.volume_temperature) / n_atoms,
            ("thermal expansion (volume)", "1e-6/K"): np.asarray(quasi.thermal_expansion) * 1e6,
            ("bulk modulus", "GPa"): np.asarray(quasi.bulk_modulus_temperature),
            ("heat capacity at constant pressure", "J/K/mol/atom"): np.asarray(quasi.heat_capacity_P_numerical)
            / n_atoms,
            ("Gibbs free energy", "eV/atom"): np.asarray(quasi.gibbs_temperature) / n_atoms,
        }
        room = int(np.argmin(abs(temperatures - _ROOM)))
        values, plots = [], []
        for (key, unit), curve in curves.items():
            x, y = temperatures[: len(curve)], curve[: len(temperatures)]
            if room < len(y):
                values.append(Value(f"{key} at {temperatures[room]:.0f} K", float(y[room]), unit))
            plots.append(Plot(key, [Panel("temperature (K)", f"{key} ({unit})", [Line(x, y)])]))
        notes = (
            []
            if structures[name].cell.get_bravais_lattice().crystal_family == "cubic"
            else ["the shape of the cell is fixed"]
        )
        return Result(self.name, name, values, plots, notes)

    def _quasi_harmonic(self, crystal: Atoms, calculator: Any) -> Any:
        from phonopy import PhonopyQHA

        settings = self.settings
        # phonopy needs points beyond the last temperature for its derivatives.
        temperatures = np.arange(0.0, settings.max_temperature + 3 * _STEP, _STEP)
        volumes, energies, columns = [], [], []
        for strain in np.linspace(-settings.max_strain / 2, settings.max_strain, settings.volumes):
            strained = scaled(crystal, 1 + float(strain))
            if len(strained) > 1:
                strained = relax_positions(strained, calculator, 1e-3)
            phonopy = force_constants(strained, calculator, settings.min_length)
            phonopy.run_mesh(settings.mesh)
            phonopy.run_thermal_properties(temperatures=temperatures, cutoff_frequency=ACOUSTIC)
            columns.append(phonopy.get_thermal_properties_dict())
            volumes.append(strained.get_volume())
            energies.append(energy(strained, calculator))
        free, entropy, heat = (
            np.array([c[key] for c in columns]).T for key in ("free_energy", "entropy", "heat_capacity")
        )
        return PhonopyQHA(
            volumes=volumes,
            electronic_energies=energies,
            temperatures=temperatures,
            free_energy=free,
            cv=heat,
            entropy=entropy,
            t_max=settings.max_temperature,
        )
