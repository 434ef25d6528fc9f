"""Inputs of pw.x for a structure: cell, k-points and parameters; without AiiDA."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ase import Atoms

from ..config.schemas.oracle import MAGNETIC_ELEMENTS, QuantumEspressoOracleConfig
from ..dataset.dimension import connected_directions, dimensionality_of, in_periodic_cell

DEFAULT_MAGNETIZATION = 0.5
"""Default of `starting_magnetization` in a spin-polarised calculation, as a fraction of the valence."""

DENSITY_CUTOFF_RATIO = 4.0
"""Ratio of the cutoffs of density and wave functions for norm-conserving pseudopotentials."""


def kpoint_mesh(atoms: Atoms, distance: float) -> tuple[int, int, int]:
    """Return the numbers of k-points along the reciprocal vectors; 1 along directions with vacuum or without periodicity.

    :param atoms: the structure before :func:`in_periodic_cell`.
    :param distance: largest distance between k-points, in 1/Å, with the factor 2π.
    """
    complete = atoms.cell.complete().reciprocal().lengths() * 2.0 * math.pi
    mesh = [
        max(1, math.ceil(length / distance - 1e-6)) if connected else 1
        for length, connected in zip(complete.tolist(), connected_directions(atoms).tolist(), strict=True)
    ]
    return mesh[0], mesh[1], mesh[2]


def has_spin(atoms: Atoms, config: QuantumEspressoOracleConfig) -> bool:
    """Return whether a structure is computed with collinear spin."""
    if config.spin != "auto":
        return config.spin == "all"
    return dimensionality_of(atoms) == "molecule" or not MAGNETIC_ELEMENTS.isdisjoint(atoms.get_chemical_symbols())


def pw_parameters(atoms: Atoms, config: QuantumEspressoOracleConfig) -> dict[str, dict[str, Any]]:
    """Return the namelists of pw.x.

    :param atoms: the structure before :func:`in_periodic_cell`.
    :param config: settings with `ecutwfc`.
    :raises ValueError: if `ecutwfc` is missing.
    """
    if config.ecutwfc is None:
        raise ValueError("pw.x needs the cutoff ecutwfc")
    system: dict[str, Any] = {
        "ecutwfc": config.ecutwfc,
        "ecutrho": config.ecutrho or DENSITY_CUTOFF_RATIO * config.ecutwfc,
        "occupations": "smearing",
        "smearing": config.smearing,
        "degauss": config.degauss,
    }
    if has_spin(atoms, config):
        system["nspin"] = 2
        system["starting_magnetization"] = {
            element: config.starting_magnetization.get(element, DEFAULT_MAGNETIZATION)
            for element in sorted(set(atoms.get_chemical_symbols()))
        }
    parameters: dict[str, dict[str, Any]] = {
        # Without `low` pw.x writes no XML, and the parser finds no forces.
        "CONTROL": {"calculation": "scf", "tprnfor": True, "tstress": True, "disk_io": "low"},
        "SYSTEM": system,
        "ELECTRONS": {"conv_thr": config.convergence * len(atoms), "electron_maxstep": 100},
    }
    for namelist, content in config.overrides.items():
        parameters[namelist] |= content
    return parameters


def estimated_cost(atoms: Atoms, valence: Mapping[str, float], config: QuantumEspressoOracleConfig) -> float:
    """Return the relative cost of a pw.x calculation: electrons * volume * k-points * spin channels."""
    electrons = sum(valence[symbol] for symbol in atoms.get_chemical_symbols())
    volume = in_periodic_cell(atoms, config.vacuum).get_volume()
    points = math.prod(kpoint_mesh(atoms, config.kpoints_distance)) / 2 + 0.5
    return float(electrons * volume * points * (2 if has_spin(atoms, config) else 1))
