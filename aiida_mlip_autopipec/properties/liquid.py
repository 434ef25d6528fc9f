"""Density and radial distribution of a liquid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list

from ..config.schemas.properties import LiquidSettings
from ..generator.crystals import height
from ..validation.symmetry import conventional
from .dynamics import at_zero_pressure, block_error, check_finite, estimated_melting_point, heat_bath, set_velocities
from .model import Line, NotComputableError, Panel, Plot, Property, Result, Value

_HOT, _ABOVE_MELTING = 3.0, 1.2
"""Temperatures relative to the estimated melting point, at which a crystal melts fast, and of the liquid."""

_EVERY, _BIN = 20, 0.05
"""Steps between two samples, and width (Å) of the bins of g(r)."""

_G_PER_CM3 = 1.66053906660
"""g/cm^3 per u/Å^3."""


class Liquid(Property):
    """Density and radial distribution function of the liquid at zero pressure (ASE's Berendsen barostat)."""

    name = "liquid"
    Settings = LiquidSettings

    def measure(self, name: str, structures: Mapping[str, Atoms], calculator: Any) -> Result:
        """Return the density (g/cm^3), the first peak of g(r), and g(r)."""
        settings = self.settings
        crystal = structures[name]
        melting = settings.temperature or estimated_melting_point(crystal, calculator)
        temperature = settings.temperature or _ABOVE_MELTING * melting
        atoms = grown(conventional(crystal), settings.atoms)
        set_velocities(atoms, calculator, _HOT * melting, settings.seed)
        heat_bath(atoms, _HOT * melting, settings.timestep, settings.seed).run(settings.steps // 4)
        heat_bath(atoms, temperature, settings.timestep, settings.seed).run(settings.steps // 4)
        run = at_zero_pressure(atoms, temperature, settings.timestep)
        run.run(settings.steps // 2)
        densities, distributions = [], []
        for _ in range(max(5, settings.steps // _EVERY)):
            run.run(_EVERY)
            check_finite(atoms)
            densities.append(atoms.get_masses().sum() / atoms.get_volume() * _G_PER_CM3)
            distributions.append(radial_distribution(atoms, _radius(atoms)))
        n_bins = min(map(len, distributions))
        g = np.mean([each[:n_bins] for each in distributions], axis=0)
        r = (np.arange(n_bins) + 0.5) * _BIN
        if not n_bins:
            raise NotComputableError("the cell is too small for g(r): set more `atoms`")
        values = [
            Value("temperature", float(temperature), "K"),
            Value("density", float(np.mean(densities)), "g/cm^3", block_error(np.array(densities))),
            Value("first peak of g(r)", float(r[np.argmax(g)]), "Å"),
            Value("height of the first peak of g(r)", float(g.max()), ""),
        ]
        plot = Plot("radial distribution", [Panel("distance (Å)", "g(r)", [Line(r, g)])])
        return Result(self.name, name, values, [plot], [f"{len(atoms)} atoms"])


def grown(atoms: Atoms, n_atoms: int) -> Atoms:
    """Return the smallest supercell, of shape as cubic as possible, with at least `n_atoms` atoms."""
    while len(atoms) < n_atoms:
        copies = [1, 1, 1]
        copies[int(np.argmin(atoms.cell.lengths()))] = 2
        atoms = atoms.repeat(copies)
    return atoms


def radial_distribution(atoms: Atoms, radius: float) -> np.ndarray:
    """Return g(r) in bins of 0.05 Å up to a radius (Å)."""
    bins = np.arange(0.0, radius, _BIN)
    distances = neighbor_list("d", atoms, radius)
    counts = np.histogram(distances, bins)[0]
    shells = 4 / 3 * np.pi * np.diff(bins**3)
    return np.asarray(counts / len(atoms) / shells / (len(atoms) / atoms.get_volume()))


def _radius(atoms: Atoms) -> float:
    return min(height(atoms, axis) for axis in range(3)) / 2
