"""Dimers, from strong repulsion to almost no interaction, and free atoms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii

from .equation_of_state import atom_name
from .measurement import Curve, Labels, Measurement, Quantity, energy_or_nan

_FRACTIONS = (0.75, 0.85, 0.95, 1.05, 1.15, 1.25, 1.35, 1.5, 1.65, 1.8, 2.0, 2.3)
"""Distances relative to the sum of the covalent radii."""

HIGHEST_ENERGY = 2.0
"""Points of the curve with a higher energy (eV) relative to free atoms are not compared."""


@dataclass(frozen=True)
class Dimers:
    """The dimers of all pairs of elements."""

    elements: Sequence[str]

    def structures(self) -> dict[str, Atoms]:
        """Return free atoms and dimers, not periodic, by name."""
        found = {atom_name(element): Atoms(element, positions=np.zeros((1, 3))) for element in self.elements}
        for pair in self._pairs:
            for number, distance in enumerate(_distances(pair)):
                found[_name(pair, number)] = Atoms(list(pair), positions=[[0, 0, 0], [0, 0, distance]])
        return found

    @property
    def _pairs(self) -> list[tuple[str, str]]:
        return list(combinations_with_replacement(sorted(self.elements), 2))

    def measure(self, labels: Labels) -> Measurement:
        """Return energies relative to free atoms (eV): curve and minimum; up to half of the labels may be missing."""
        result = Measurement()
        for pair in self._pairs:
            name = "-".join(pair)
            x = _distances(pair)
            free = sum(energy_or_nan(labels, atom_name(element)) for element in pair)
            y = np.array([energy_or_nan(labels, _name(pair, number)) for number in range(len(x))]) - free
            missing = int(np.isnan(y).sum())
            reason = f"{missing} of {len(x)} distances, or a free atom, have no label" if 2 * missing > len(x) else None
            result.curves.append(Curve(name, "dimer", "distance (Å)", "energy above free atoms (eV)", x, y))
            lowest = math.nan if reason else float(np.nanmin(y))
            result.quantities.append(
                Quantity("dimer_energy", name, "lowest", "eV", lowest, reason, curve=y, ceiling=HIGHEST_ENERGY)
            )
        return result


def _distances(pair: tuple[str, str]) -> np.ndarray:
    reach = sum(float(covalent_radii[atomic_numbers[element]]) for element in pair)
    return np.round(reach * np.array(_FRACTIONS), 3)


def _name(pair: tuple[str, str], number: int) -> str:
    return f"{'-'.join(pair)} dimer {number}"
