"""Elastic constants of a crystal of any symmetry, with ions clamped and relaxed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from ase import Atoms, units

from ..config.schemas.properties import ElasticSettings
from ..validation.elastic import ElasticConstants
from .crystals import labels, sized, symmetry_of
from .model import Property, Result, Value

_VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
_UPPER = [(i, j) for i in range(6) for j in range(i, 6)]


class Elastic(Property):
    """Elastic constants by the stresses of strained cells; the internal relaxation follows from force constants.

    The tensor refers to the standard orientation of the primitive cell, and is averaged over the point group.
    """

    name = "elastic"
    Settings = ElasticSettings

    def measure(self, name: str, structures: Mapping[str, Atoms], calculator: Any) -> Result:
        """Return the independent constants (GPa), relaxed and clamped, and averages of Voigt, Reuss and Hill."""
        crystal = structures[name]
        constants = ElasticConstants(sized(name, crystal))
        found = labels(constants.structures(), calculator)
        rotations = _cartesian_rotations(crystal)
        relaxed, clamped = (
            symmetrised(constants.tensor(found, relaxed=flag) / units.GPa, rotations) for flag in (True, False)
        )
        values = [Value(key, relaxed[index], "GPa") for key, index in independent(rotations).items()]
        if len(crystal) > 1:
            values += [
                Value(f"{key} clamped ions", clamped[index], "GPa") for key, index in independent(rotations).items()
            ]
        values += averages(relaxed)
        values += [Value("tensor", relaxed, "GPa"), Value("tensor clamped ions", clamped, "GPa")]
        stable = float(np.linalg.eigvalsh(relaxed).min()) > 0
        return Result(self.name, name, values, notes=[] if stable else ["the crystal is elastically unstable"])


def symmetrised(tensor: np.ndarray, rotations: np.ndarray) -> np.ndarray:
    """Return an elastic tensor (6, 6) in Voigt notation averaged over rotations (n, 3, 3)."""
    full = np.empty((3, 3, 3, 3))
    for a, (i, j) in enumerate(_VOIGT):
        for b, (k, l) in enumerate(_VOIGT):
            full[i, j, k, l] = full[j, i, k, l] = full[i, j, l, k] = full[j, i, l, k] = tensor[a, b]
    mean = np.mean([np.einsum("ai,bj,ck,dl,ijkl->abcd", r, r, r, r, full, optimize=True) for r in rotations], axis=0)
    return np.array([[mean[i, j, k, l] for k, l in _VOIGT] for i, j in _VOIGT])


def independent(rotations: np.ndarray) -> dict[str, tuple[int, int]]:
    """Return the independent constants under rotations: those that fix the whole tensor, in the usual order.

    A constant is independent of those before it if averaging a tensor over the rotations leaves it free.
    """
    images = []
    for i, j in _UPPER:
        unit = np.zeros((6, 6))
        unit[i, j] = unit[j, i] = 1.0
        images.append(symmetrised(unit, rotations)[tuple(np.array(_UPPER).T)])
    # Columns: how each entry of the averaged tensor follows from the free ones.
    projection = np.array(images).T
    chosen: list[int] = []
    for row in _USUAL:
        trial = [*chosen, row]
        if np.linalg.matrix_rank(projection[trial], tol=1e-6) == len(trial):
            chosen = trial
    return {f"C{_UPPER[row][0] + 1}{_UPPER[row][1] + 1}": _UPPER[row] for row in sorted(chosen)}


_USUAL = [_UPPER.index(index) for index in ((0, 0), (0, 1), (3, 3), (0, 2), (2, 2), (5, 5), (1, 1), (1, 2), (4, 4))]
_USUAL += [row for row in range(len(_UPPER)) if row not in _USUAL]
"""Order in which constants are chosen: that of textbooks for cubic, hexagonal, tetragonal, orthorhombic crystals."""


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


def _cartesian_rotations(crystal: Atoms) -> np.ndarray:
    """Return the point group as Cartesian rotations (n, 3, 3)."""
    vectors = crystal.cell.array.T
    return np.array([vectors @ rotation @ np.linalg.inv(vectors) for rotation in symmetry_of(crystal).rotations])
