"""Molecular dynamics at constant temperature, and pressure if there is one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from ase import Atoms, units
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution, Stationary

from .walker import Walker

_FRICTION = 0.02
"""1/fs"""

_BAROSTAT_STEPS = 10
"""Steps between two changes of the cell: each costs an evaluation."""

_BAROSTAT_TIME = 200.0
"""fs"""

_STIFFNESS = (5.0, 500.0)
"""GPa; what a bulk modulus that is found must lie between."""

_LARGEST_CHANGE = 0.03
"""Largest change of the volume at once, relative."""


def dynamics(atoms: Atoms, walker: Walker) -> Iterator[int]:
    """Run Langevin dynamics, at constant pressure with stochastic cell rescaling; yield the numbers of its steps.

    The cell keeps its shape. Bernetti and Bussi, J. Chem. Phys. 153, 114107 (2020): of first order in the volume, so that it
    does not swing, and right in its fluctuations.
    """
    random = np.random.RandomState(walker.seed)
    assert walker.temperature is not None
    MaxwellBoltzmannDistribution(atoms, temperature_K=walker.temperature, rng=random)
    Stationary(atoms)
    langevin = Langevin(
        atoms,
        walker.timestep * units.fs,
        temperature_K=walker.temperature,
        friction=_FRICTION / units.fs,
        rng=random,
        fixcm=False,
    )
    stiffness = None if walker.pressure is None else _bulk_modulus(atoms)
    for step, _ in enumerate(langevin.irun(walker.steps)):
        yield step
        if stiffness is not None and step and step % _BAROSTAT_STEPS == 0:
            _rescale(atoms, walker, stiffness, random)


def _rescale(atoms: Atoms, walker: Walker, stiffness: float, random: np.random.RandomState) -> None:
    """Change the volume by a step of the barostat, positions and momenta with it."""
    assert walker.pressure is not None and walker.temperature is not None
    volume, thermal = atoms.get_volume(), units.kB * walker.temperature
    pressure = -float(np.mean(atoms.get_stress(include_ideal_gas=True)[:3]))
    share = _BAROSTAT_STEPS * walker.timestep / _BAROSTAT_TIME / stiffness
    drift = -share * (walker.pressure * units.GPa - pressure - thermal / volume)
    noise = np.sqrt(2 * thermal * share / volume) * random.standard_normal()
    factor = np.exp(np.clip(drift + noise, -_LARGEST_CHANGE, _LARGEST_CHANGE) / 3)
    momenta = atoms.get_momenta()
    atoms.set_cell(atoms.cell * factor, scale_atoms=True)
    atoms.set_momenta(momenta / factor)


def _bulk_modulus(atoms: Atoms) -> float:
    """Return the bulk modulus (eV/Å^3) at the start, kept within what matter has."""
    pressures = []
    for factor in (0.99, 1.01):
        scaled = atoms.copy()
        scaled.calc = atoms.calc
        scaled.set_cell(atoms.cell * factor ** (1 / 3), scale_atoms=True)
        pressures.append(-float(np.mean(scaled.get_stress()[:3])))
    low, high = (limit * units.GPa for limit in _STIFFNESS)
    return float(np.clip((pressures[0] - pressures[1]) / 0.02, low, high))
