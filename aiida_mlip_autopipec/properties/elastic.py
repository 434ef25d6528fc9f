"""Elastic constants of a crystal of any symmetry, with ions clamped and relaxed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from ase import Atoms, units

from ..config.schemas.properties import ElasticSettings
from ..validation.elastic import ElasticConstants
from ..validation.symmetry import cartesian_rotations, independent_constants, symmetrised
from .crystals import evaluated, validation_crystal
from .model import Property, Result, Value


class Elastic(Property):
    """Elastic constants by the stresses of strained cells; the internal relaxation follows from force constants.

    The tensor refers to the standard orientation of the primitive cell, and is averaged over the point group.
    """

    name = "elastic"
    Settings = ElasticSettings

    def measure(self, name: str, structures: Mapping[str, Atoms], calculator: Any) -> Result:
        """Return the independent constants (GPa), relaxed and clamped, and averages of Voigt, Reuss and Hill."""
        crystal = structures[name]
        constants = ElasticConstants(validation_crystal(name, crystal))
        found = evaluated(constants.structures(), calculator)
        rotations = cartesian_rotations(crystal)
        relaxed, clamped = (
            symmetrised(constants.tensor(found, relaxed=flag) / units.GPa, rotations) for flag in (True, False)
        )
        values = [Value(key, relaxed[index], "GPa") for key, index in independent_constants(rotations).items()]
        if len(crystal) > 1:
            values += [
                Value(f"{key} clamped ions", clamped[index], "GPa")
                for key, index in independent_constants(rotations).items()
            ]
        values += averages(relaxed)
        values += [Value("tensor", relaxed, "GPa"), Value("tensor clamped ions", clamped, "GPa")]
        stable = float(np.linalg.eigvalsh(relaxed).min()) > 0
        return Result(self.name, name, values, notes=[] if stable else ["the crystal is elastically unstable"])


def averages(tensor: np.ndarray) -> list[Value]:
    """Return bulk and shear moduli (GPa) by Voigt, Reuss and Hill (Proc. Phys. Soc. A 65, 349 (1952))."""
    compliance = np.linalg.inv(tensor)
    bulk_voigt = float(tensor[:3, :3].sum() / 9)
    bulk_reuss = float(1 / compliance[:3, :3].sum())
    normal, mixed = np.trace(tensor[:3, :3]), tensor[0, 1] + tensor[0, 2] + tensor[1, 2]
    shear_voigt = float((normal - mixed + 3 * np.trace(tensor[3:, 3:])) / 15)
    normal, mixed = np.trace(compliance[:3, :3]), compliance[0, 1] + compliance[0, 2] + compliance[1, 2]
    shear_reuss = float(15 / (4 * normal - 4 * mixed + 3 * np.trace(compliance[3:, 3:])))
    bulk, shear = (bulk_voigt + bulk_reuss) / 2, (shear_voigt + shear_reuss) / 2
    return [
        Value("bulk modulus (Voigt)", bulk_voigt, "GPa"),
        Value("bulk modulus (Reuss)", bulk_reuss, "GPa"),
        Value("bulk modulus (Hill)", bulk, "GPa"),
        Value("shear modulus (Voigt)", shear_voigt, "GPa"),
        Value("shear modulus (Reuss)", shear_reuss, "GPa"),
        Value("shear modulus (Hill)", shear, "GPa"),
        Value("Young's modulus (Hill)", 9 * bulk * shear / (3 * bulk + shear), "GPa"),
        Value("Poisson's ratio (Hill)", (3 * bulk - 2 * shear) / (6 * bulk + 2 * shear), ""),
    ]
