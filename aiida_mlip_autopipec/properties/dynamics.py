"""Molecular dynamics of crystals and liquids at zero pressure."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms, units
from ase.md.langevin import Langevin
from ase.md.nptberendsen import Inhomogeneous_NPTBerendsen, NPTBerendsen
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution, Stationary

from ..validation.crystals import scaled
from .model import NotComputableError

COMPRESSIBILITY = 1 / (100 * units.GPa)
"""Typical compressibility (Å^3/eV) of a solid, which sets the speed of the barostat only."""

_MELTING_ENERGY = 0.012
"""Melting temperature times the Boltzmann constant, in units of bulk modulus times volume of an atom; 0.010 to 0.013 for most
elements, 0.024 for lithium."""

_STRAIN = 0.005
"""Relative change of the lattice parameters for the estimate of the bulk modulus."""


def estimated_melting_point(crystal: Atoms, calculator: Any) -> float:
    """Return an estimate (K) of the melting point from the bulk modulus.

    :raises NotComputableError: if the crystal is not stable under pressure.
    """
    pressures = []
    for factor in (1 - _STRAIN, 1 + _STRAIN):
        strained = scaled(crystal, factor)
        strained.calc = calculator
        pressures.append(-float(np.mean(strained.get_stress()[:3])))
    modulus = (pressures[0] - pressures[1]) / (6 * _STRAIN)
    if not modulus > 0:
        raise NotComputableError("the bulk modulus of the crystal is not positive")
    return float(_MELTING_ENERGY * modulus * crystal.get_volume() / len(crystal) / units.kB)


def set_velocities(atoms: Atoms, calculator: Any, temperature: float, seed: int) -> None:
    """Set the calculator, and random velocities of a temperature (K)."""
    atoms.calc = calculator
    MaxwellBoltzmannDistribution(atoms, temperature_K=temperature, rng=np.random.RandomState(seed))
    Stationary(atoms)


def heat_bath(atoms: Atoms, temperature: float, timestep: float, seed: int) -> Langevin:
    """Return Langevin dynamics at constant volume.

    :param temperature: in K.
    :param timestep: in fs.
    """
    random = np.random.RandomState(seed)
    return Langevin(
        atoms, timestep * units.fs, temperature_K=temperature, friction=0.02 / units.fs, rng=random, fixcm=False
    )


def at_zero_pressure(
    atoms: Atoms, temperature: float | None, timestep: float, along: tuple[int, int, int] | None = None
) -> NPTBerendsen:
    """Return dynamics at zero pressure.

    :param temperature: temperature (K) of the thermostat; None for none, so that the enthalpy is about constant.
    :param timestep: in fs.
    :param along: (3,) 1 for an axis that may change, else 0; by default all change, isotropically.
    """
    settings: dict[str, Any] = {
        "timestep": timestep * units.fs,
        "temperature_K": temperature if temperature is not None else 1.0,
        "taut": 200 * units.fs if temperature is not None else 1e12,
        "pressure_au": 0.0,
        "taup": 1000 * units.fs,
        "compressibility_au": COMPRESSIBILITY,
    }
    return (
        NPTBerendsen(atoms, **settings) if along is None else Inhomogeneous_NPTBerendsen(atoms, mask=along, **settings)
    )


def check_finite(atoms: Atoms) -> None:
    """Raise an error if the dynamics has become unphysical.

    :raises NotComputableError: if positions are not finite.
    """
    if not np.isfinite(atoms.positions).all() or not np.isfinite(atoms.get_potential_energy()):
        raise NotComputableError("the molecular dynamics became unphysical")


def block_error(values: np.ndarray, blocks: int = 5) -> float:
    """Return the standard error of a mean from the means of blocks, for correlated values (n,)."""
    means = [float(part.mean()) for part in np.array_split(np.asarray(values), blocks)]
    return float(np.std(means, ddof=1) / np.sqrt(blocks))
