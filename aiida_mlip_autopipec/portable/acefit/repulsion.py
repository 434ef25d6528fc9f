"""Repulsion of the cores, closer than any data."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from pyace import ACEBBasisSet, PyACECalculator

from .basis import INNER_WIDTH


def zbl_energy(first: str, second: str, distance: float) -> float:
    """Return the universal screened nuclear repulsion (eV) of Ziegler, Biersack and Littmark (1985)."""
    z1, z2 = atomic_numbers[first], atomic_numbers[second]
    x = distance * (z1**0.23 + z2**0.23) / (0.8854 * 0.529177)
    screening = sum(
        a * math.exp(-b * x) for a, b in ((0.18175, 3.1998), (0.50986, 0.94229), (0.28022, 0.4029), (0.02817, 0.20162))
    )
    return 14.399645 * z1 * z2 / distance * screening


def set_core_repulsion(configuration: Any) -> dict[str, list[float]]:
    """Give each pair a repulsion A exp(-b r^2)/r below the shortest distance of the data; return the parameters.

    The data do not reach there and the fitted functions are switched off, so it cannot harm the fit; it continues the
    fitted dimer curve upwards, towards the nuclear repulsion, without a hole.
    """
    blocks_of: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for block in configuration.funcspecs_blocks:
        species = block.block_name.split()
        if len(species) <= 2:
            blocks_of[min(species), max(species)].append(block)
    chosen: dict[str, list[float]] = {}
    for pair, blocks in blocks_of.items():
        inner, edge = float(blocks[0].r_in), float(blocks[0].r_in) - INNER_WIDTH
        near, at = _dimer_energies(pair, [inner + 0.01, inner], configuration)
        slope = max((at - near) / 0.01, 1.0)
        height = max(at, 0.0) + 2.0 * slope * INNER_WIDTH
        for _ in range(20):
            parameters = _core_parameters(pair, edge, height)
            for block in blocks:
                block.core_rep_parameters = parameters
            energies = _dimer_energies(pair, np.arange(0.2, inner + 0.02, 0.02), configuration)
            if (np.diff(energies) < 0).all():
                break
            height *= 1.4
        chosen["-".join(pair)] = parameters
    return chosen


def _core_parameters(pair: tuple[str, str], edge: float, height: float) -> list[float]:
    """Return A and b so that the pair's repulsion has a height (eV) at the edge and the nuclear one far inside."""
    inside = 0.4 * edge
    steep = max(zbl_energy(*pair, inside), 3.0 * height)
    falloff = math.log(steep * inside / (height * edge)) / (edge**2 - inside**2)
    return [0.5 * height * edge * math.exp(falloff * edge**2), falloff]


def _dimer_energies(pair: tuple[str, str], distances: Iterable[float], configuration: Any) -> np.ndarray:
    dimer = Atoms(list(pair), positions=np.zeros((2, 3)))
    dimer.calc = PyACECalculator(ACEBBasisSet(configuration))
    energies = []
    for distance in distances:
        dimer.positions[1, 2] = distance
        energies.append(float(dimer.get_potential_energy()))
    return np.array(energies)
