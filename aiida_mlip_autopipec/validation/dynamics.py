"""Checks of molecular dynamics by the potential: energy conservation, collapse of atoms, extrapolation grade."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from ase import Atoms

from ..config.schemas.validation import ValidationConfig
from ..generator.crystals import neighbour_distance, supercell
from .checks import Check, within
from .crystals import ValidationCrystal
from .measurement import Curve

Record = Mapping[str, np.ndarray]
"""Record of an MD run, arrays (n,): `time` (ps), `total_energy` (eV/atom), `temperature` (K), `closest` (Å, smallest distance),
`grade` (NaN if unknown), `constant_energy` (whether the step is NVE); and `stopped`, the stop reason of an early stop."""


def starts(crystals: Sequence[ValidationCrystal], config: ValidationConfig) -> dict[str, Atoms]:
    """Return the start structures of the MD runs, by name of the crystal."""
    return {crystal.name: supercell(crystal.conventional(), config.dynamics.max_atoms) for crystal in crystals}


def check_dynamics(
    name: str, start: Atoms, record: Record, config: ValidationConfig
) -> tuple[list[Check], list[Curve]]:
    """Return the checks and the curves of an MD run."""
    limits = config.limits
    constant = np.asarray(record["constant_energy"], dtype=bool)
    drift, fluctuation = _drift(record["time"][constant], record["total_energy"][constant])
    nearest = float(np.min(record["closest"])) / neighbour_distance(start) if len(record["closest"]) else math.nan
    checks = [
        within("energy_drift", name, "drift of the total energy", "eV/atom/ps", drift, limits.energy_drift),
        within(
            "energy_fluctuation",
            name,
            "fluctuation of the total energy",
            "eV/atom",
            fluctuation,
            limits.energy_fluctuation,
        ),
        within(
            "closest_approach",
            name,
            "smallest / nearest-neighbour distance",
            "",
            nearest,
            limits.closest_approach,
            at_least=True,
        ),
    ]
    grades = record["grade"]
    if len(grades) and not np.isnan(grades).all():
        highest = float(np.nanmax(grades))
        checks.append(
            within("extrapolation_grade", name, "extrapolation grade", "", highest, limits.extrapolation_grade)
        )
    stopped = str(record["stopped"])
    if stopped:
        checks.append(Check("dynamics", name, "MD run completed", "", None, None, None, None, False, stopped))
    return checks, _curves(name, record)


def _drift(time: np.ndarray, energy: np.ndarray) -> tuple[float, float]:
    """Return the linear drift of the energy (eV/atom/ps), and the standard deviation from it (eV/atom)."""
    if len(time) < 3 or not np.isfinite(energy).all():
        return math.nan, math.nan
    slope, offset = np.polyfit(time, energy, 1)
    return float(slope), float(np.std(energy - (slope * time + offset)))


def _curves(name: str, record: Record) -> list[Curve]:
    labels = {
        "total_energy": "total energy (eV/atom)",
        "temperature": "temperature (K)",
        "closest": "smallest distance (Å)",
        "grade": "extrapolation grade",
    }
    return [
        Curve(f"{name} {key.replace('_', ' ')}", "md", "time (ps)", label, record["time"], record[key])
        for key, label in labels.items()
        if len(record[key]) and not np.isnan(record[key]).all()
    ]
