"""Molecular dynamics at constant temperature and, optionally, constant pressure, or cooled in its second half."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from ase import Atoms, units
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution, Stationary

from .sampler import Sampler

_FRICTION = 0.02
"""1/fs"""

_BAROSTAT_STEPS = 10
"""Steps between two changes of the cell: each costs an extra evaluation."""

_BAROSTAT_TIME = 200.0
"""fs"""

_STIFFNESS = (5.0, 500.0)
"""GPa; range to which the estimated bulk modulus is clipped."""

_LARGEST_CHANGE = 0.03
"""Largest relative change of the volume in one barostat step."""


def dynamics(atoms: Atoms, sampler: Sampler) -> Iterator[int]:
    """Run Langevin dynamics, at constant pressure with stochastic cell rescaling; yield the step numbers.

    The cell keeps its shape. The barostat (Bernetti and Bussi, J. Chem. Phys. 153, 114107 (2020)) is of first order in the
    volume, so that the volume does not oscillate, and gives the correct volume fluctuations.
    """
    random = np.random.RandomState(sampler.seed)
    assert sampler.temperature is not None
    MaxwellBoltzmannDistribution(atoms, temperature_K=sampler.temperature, rng=random)
    Stationary(atoms)
    langevin = Langevin(
        atoms,
        sampler.timestep * units.fs,
        temperature_K=sampler.temperature,
        friction=_FRICTION / units.fs,
        rng=random,
        fixcm=False,
    )
    stiffness = None if sampler.pressure is None else _bulk_modulus(atoms)
    for step, _ in enumerate(langevin.irun(sampler.steps)):
        yield step
        if sampler.final_temperature is not None:
            langevin.set_temperature(temperature_K=thermostat(sampler, step))
        if stiffness is not None and step and step % _BAROSTAT_STEPS == 0:
            _rescale(atoms, sampler, stiffness, random)


def thermostat(sampler: Sampler, step: int) -> float:
    """Return the temperature (K) of the thermostat at a step."""
    assert sampler.temperature is not None
    if sampler.final_temperature is None:
        return sampler.temperature
    cooled = min(1.0, max(0.0, 2 * step / sampler.steps - 1))
    return sampler.temperature + cooled * (sampler.final_temperature - sampler.temperature)


def _rescale(atoms: Atoms, sampler: Sampler, stiffness: float, random: np.random.RandomState) -> None:
    """Rescale cell, positions and momenta by one step of the barostat."""
    assert sampler.pressure is not None and sampler.temperature is not None
    volume, thermal = atoms.get_volume(), units.kB * sampler.temperature
    pressure = -float(np.mean(atoms.get_stress(include_ideal_gas=True)[:3]))
    share = _BAROSTAT_STEPS * sampler.timestep / _BAROSTAT_TIME / stiffness
    drift = -share * (sampler.pressure * units.GPa - pressure - thermal / volume)
    noise = np.sqrt(2 * thermal * share / volume) * random.standard_normal()
    factor = np.exp(np.clip(drift + noise, -_LARGEST_CHANGE, _LARGEST_CHANGE) / 3)
    momenta = atoms.get_momenta()
    atoms.set_cell(atoms.cell * factor, scale_atoms=True)
    atoms.set_momenta(momenta / factor)


def _bulk_modulus(atoms: Atoms) -> float:
    """Return the bulk modulus (eV/Å^3) of the start, clipped to the range of real materials."""
    pressures = []
    for factor in (0.99, 1.01):
        scaled = atoms.copy()
        scaled.calc = atoms.calc
        scaled.set_cell(atoms.cell * factor ** (1 / 3), scale_atoms=True)
        pressures.append(-float(np.mean(scaled.get_stress()[:3])))
    low, high = (limit * units.GPa for limit in _STIFFNESS)
    return float(np.clip((pressures[0] - pressures[1]) / 0.02, low, high))
