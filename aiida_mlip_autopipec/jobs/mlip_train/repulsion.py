"""Repulsion at distances shorter than in the data: the onset of the core repulsion, and rows of the fit for the gap above it.

Screened nuclear repulsion (ZBL): Ziegler, Biersack and Littmark, The Stopping and Range of Ions in Solids (1985).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii
from mlip_common.errors import ProgramError, log
from pyace import ACEBBasisSet, PyACECalculator

Pair = tuple[str, str]
"""Two elements, in alphabetical order."""

ONSET_ENERGY = 30.0
"""Screened nuclear repulsion (eV) of a pair at the onset of its core repulsion: larger than in any bond."""

ONSET_RADII = 0.5
"""Smallest onset, relative to the sum of the covalent radii: the shortest bonds are at 0.75."""

SWITCH_WIDTH = 0.25
"""Width of the switch from the fitted functions to the core repulsion, relative to the onset."""

BONDED = 0.7
"""Distance, relative to the sum of the covalent radii, below which a dimer must be repulsive."""

STEP = 0.05
"""Spacing (Å) of the distances in the rows for short distances."""

MAX_INCREASES = 40
"""Largest number of increases of the core repulsion."""

SHORT_DISTANCE_WEIGHTS = (0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
"""Candidate weights of the rows for short distances: a relative error of 100 % of the repulsive force counts as much as a
force error of this value in eV/Å."""

SHORT_DISTANCE_TOLERANCE = 1.05
"""The largest candidate weight that raises the validation error by no more than this factor is used."""

SWITCH_DISTANCES = (0.8, 0.85, 0.9, 0.95, 1.0)
"""Distances, relative to the onset, at which the rows for short distances keep the energy of each order small."""

ORDER_ENERGY = 1.0
"""Energy of an order, relative to the repulsion at the onset, that counts as an error of 1 eV/Å."""


def zbl_energy(first: str, second: str, distance: float) -> float:
    """Return the universal screened nuclear repulsion (ZBL, eV) at a distance (Å)."""
    z1, z2 = atomic_numbers[first], atomic_numbers[second]
    x = distance * (z1**0.23 + z2**0.23) / (0.8854 * 0.529177)
    screening = sum(
        a * math.exp(-b * x) for a, b in ((0.18175, 3.1998), (0.50986, 0.94229), (0.28022, 0.4029), (0.02817, 0.20162))
    )
    return 14.399645 * z1 * z2 / distance * screening


def zbl_force(first: str, second: str, distance: float) -> float:
    """Return the force (eV/Å) of the screened nuclear repulsion at a distance (Å)."""
    h = 1e-4
    return (zbl_energy(first, second, distance - h) - zbl_energy(first, second, distance + h)) / (2 * h)


def radii_sum(first: str, second: str) -> float:
    """Return the sum of the covalent radii (Å)."""
    return float(covalent_radii[atomic_numbers[first]] + covalent_radii[atomic_numbers[second]])


def pairs_of(elements: Iterable[str]) -> list[Pair]:
    """Return all pairs of elements."""
    return list(combinations_with_replacement(sorted(elements), 2))


def onset(first: str, second: str, shortest: float = math.inf) -> float:
    """Return the distance (Å) below which the core repulsion of a pair replaces the fitted functions.

    It depends only on the two elements, unless the data have shorter distances.

    :param shortest: the shortest distance (Å) of the pair in the data.
    """
    inner, outer = 0.05, 6.0
    while outer - inner > 1e-3:
        middle = 0.5 * (inner + outer)
        inner, outer = (middle, outer) if zbl_energy(first, second, middle) > ONSET_ENERGY else (inner, middle)
    return min(max(outer, ONSET_RADII * radii_sum(first, second)), shortest)


class ShortDistanceRows:
    """Rows of a linear fit without data: between the onset of the core repulsion and the shortest distance in the data.

    The force in a dimer should be that of the screened nuclear repulsion, with a weight that falls to zero towards the data.
    Where a pair of different elements has no data but both like pairs have, its force should be the mean of the like pairs.
    Near the onset the energy of each correlation order should be small: orders are switched off at different rates, so that
    large terms of opposite sign would no longer cancel.
    """

    def __init__(
        self,
        builder: Any,
        orders: np.ndarray,
        elements: Sequence[str],
        cutoff: float,
        shortest: Sequence[Mapping[Pair, float]],
    ) -> None:
        """Compute the forces of all functions in dimers.

        :param builder: a `RowBuilder`.
        :param orders: the correlation order of each function (m,).
        :param shortest: the shortest distance (Å) of each pair in each fold.
        """
        self._shortest, self._cutoff = shortest, cutoff
        overall = shortest_of(shortest)
        self._onset = {pair: onset(*pair, overall.get(pair, math.inf)) for pair in pairs_of(elements)}
        self._forces: dict[Pair, dict[int, np.ndarray]] = {}
        for pair, r_onset in self._onset.items():
            end = max(self._end(pair, of_fold) for of_fold in shortest)
            first = math.ceil(r_onset / STEP)
            self._forces[pair] = {
                step: _force_row(builder, pair, step * STEP) for step in range(first, math.ceil(end / STEP))
            }
        self._of_orders = [row for pair in self._onset for row in self._rows_of_orders(builder, orders, pair)]
        for pair in self._onset:
            for like in {(pair[0], pair[0]), (pair[1], pair[1])} - {pair}:
                for step in self._forces[pair].keys() - self._forces[like].keys():
                    self._forces[like][step] = _force_row(builder, like, step * STEP)

    def of(self, folds: Iterable[int]) -> np.ndarray:
        """Return the rows [X | y] of a fit to some folds (k, m + 1)."""
        shortest = shortest_of([self._shortest[fold] for fold in folds])
        return np.array([*self._of_orders, *(row for pair in self._onset for row in self._rows_of(pair, shortest))])

    def _end(self, pair: Pair, shortest: Mapping[Pair, float]) -> float:
        """Return the distance (Å) below which there are no data."""
        return min(shortest.get(pair, math.inf), self._cutoff)

    def _rows_of_orders(self, builder: Any, orders: np.ndarray, pair: Pair) -> Iterable[np.ndarray]:
        r_onset = self._onset[pair]
        scale = ORDER_ENERGY * zbl_energy(*pair, r_onset)
        for part in SWITCH_DISTANCES:
            energies = builder.energy_row(_dimer(pair, part * r_onset))
            for order in np.unique(orders):
                yield np.append(np.where(orders == order, energies / scale, 0.0), 0.0)

    def _rows_of(self, pair: Pair, shortest: Mapping[Pair, float]) -> Iterable[np.ndarray]:
        likes = [(element, element) for element in pair]
        end, r_onset = self._end(pair, shortest), self._onset[pair]
        borrowed = end
        if pair[0] != pair[1] and all(like in shortest for like in likes):
            borrowed = min(end, max(r_onset, 0.5 * sum(shortest[like] for like in likes)))
        for step, force in self._forces[pair].items():
            distance = step * STEP
            if distance >= end:
                continue
            nuclear = zbl_force(*pair, distance)
            weight = 1.0 / max(1.0, nuclear)
            if distance >= borrowed:
                mean = 0.5 * (self._forces[likes[0]][step] + self._forces[likes[1]][step])
                yield weight * np.append(force - mean, 0.0)
            else:
                near = min(1.0, (borrowed - distance) / max(borrowed - r_onset, STEP))
                yield near * weight * np.append(force, nuclear)


def shortest_of(folds: Sequence[Mapping[Pair, float]]) -> dict[Pair, float]:
    """Return the shortest distance (Å) of each pair over some folds."""
    found: dict[Pair, float] = {}
    for fold in folds:
        for pair, distance in fold.items():
            found[pair] = min(distance, found.get(pair, math.inf))
    return found


def _force_row(builder: Any, pair: Pair, distance: float) -> np.ndarray:
    """Return the repulsive force (eV/Å) of each function in a dimer (m,)."""
    return np.asarray(builder.rows(_dimer(pair, distance), strain=False).forces[5])


def _dimer(pair: Pair, distance: float) -> Atoms:
    return Atoms(list(pair), positions=[[0.0, 0.0, 0.0], [0.0, 0.0, distance]])


def blocks_of_pairs(blocks: Iterable[Any]) -> dict[Pair, list[Any]]:
    """Return the blocks of functions of a configuration by pair of elements."""
    found: dict[Pair, list[Any]] = defaultdict(list)
    for block in blocks:
        species = block.block_name.split()
        if len(species) <= 2:
            found[min(species), max(species)].append(block)
    return found


def set_onsets(configuration: Any, shortest: Mapping[Pair, float]) -> None:
    """Set the onset of the core repulsion of each pair as for a new basis.

    :param shortest: the shortest distance (Å) of each pair in the data.
    """
    # pyace returns copies: changes must be assigned back.
    blocks = configuration.funcspecs_blocks
    for pair, of_pair in blocks_of_pairs(blocks).items():
        for block in of_pair:
            block.r_in = onset(*pair, shortest.get(pair, math.inf))
            block.delta_in = SWITCH_WIDTH * block.r_in
    configuration.funcspecs_blocks = blocks


def set_core_repulsion(configuration: Any, shortest: Mapping[Pair, float]) -> dict[str, dict[str, float]]:
    """Set the core repulsion 2 A exp(-b r^2)/r of each pair inside its onset; return the parameters and onsets.

    It continues energy and force of the fitted dimer at the onset. If the fitted dimer is not repulsive at a distance that is
    too short for a bond, the onset is moved there.

    :param shortest: the shortest distance (Å) of each pair in the data.
    """
    blocks = configuration.funcspecs_blocks
    blocks_of = blocks_of_pairs(blocks)

    def fitted() -> dict[Pair, np.ndarray]:
        for block in (block for of_pair in blocks_of.values() for block in of_pair):
            block.core_rep_parameters = [0.0, 1.0]
        configuration.funcspecs_blocks = blocks
        return _dimer_curves(configuration, blocks_of, distances)

    distances = np.arange(0.1, max(BONDED * radii_sum(*pair) for pair in blocks_of) + 0.4, 0.01)
    curves = fitted()
    moved = False
    for pair, of_pair in blocks_of.items():
        before = float(of_pair[0].r_in), float(of_pair[0].delta_in)
        r_onset = _repulsive_from(pair, before[0], shortest.get(pair, math.inf), distances, curves[pair])
        moved |= (r_onset, SWITCH_WIDTH * r_onset) != before
        for block in of_pair:
            block.r_in, block.delta_in = r_onset, SWITCH_WIDTH * r_onset
    if moved:
        curves = fitted()
    chosen: dict[str, dict[str, float]] = {}
    for pair, of_pair in blocks_of.items():
        r_onset = float(of_pair[0].r_in)
        parameters = _core_parameters(pair, r_onset, distances, curves[pair])
        for block in of_pair:
            block.core_rep_parameters = parameters
        chosen["-".join(pair)] = {"onset_A": r_onset, "A": parameters[0], "b": parameters[1]}
    configuration.funcspecs_blocks = blocks
    return chosen


def _repulsive_from(pair: Pair, r_onset: float, shortest: float, distances: np.ndarray, energies: np.ndarray) -> float:
    """Return the onset (Å), moved beyond all distances below the data at which the fitted dimer is not repulsive."""
    too_short = min(BONDED * radii_sum(*pair), shortest)
    in_gap = (distances >= r_onset) & (distances < too_short)
    falling = np.diff(energies, append=energies[-1]) < 0
    attractive = distances[in_gap & ~falling]
    if not len(attractive):
        return r_onset
    moved = float(min(attractive.max() + 0.02, max(r_onset, shortest)))
    log(
        f"  {'-'.join(pair)}: not repulsive at {attractive.max():.2f} Å: onset of the core repulsion moved to {moved:.2f} Å"
    )
    return moved


def _core_parameters(pair: Pair, r_onset: float, distances: np.ndarray, fitted: np.ndarray) -> list[float]:
    """Return A (eV Å) and b (1/Å^2) that continue energy and force at the onset, with at least 20 % of the nuclear repulsion.

    Energy and force are increased until the total dimer energy falls monotonically with distance.

    :param fitted: dimer energies (eV) of the fitted functions alone, switched off inside the onset.
    :raises ProgramError: of the kind `unphysical`, if no such repulsion is found.
    """
    energy, beyond = np.interp([r_onset, r_onset + 0.02], distances, fitted)
    force = max((energy - beyond) / 0.02, 0.2 * zbl_force(*pair, r_onset))
    energy = max(energy, 0.2 * zbl_energy(*pair, r_onset))
    inside = distances <= r_onset + 0.02
    r, rest = distances[inside], fitted[inside]
    core_part = 1.0 - _switch(r, r_onset)
    for _ in range(MAX_INCREASES):
        falloff = max(force / energy - 1.0 / r_onset, 0.2 / r_onset) / (2.0 * r_onset)
        amplitude = 0.5 * energy * r_onset * math.exp(falloff * r_onset**2)
        total = rest + core_part * 2.0 * amplitude * np.exp(-falloff * r**2) / r
        if (np.diff(total) < 0).all():
            return [amplitude, falloff]
        energy, force = 1.3 * energy, 1.3 * force
    raise ProgramError(
        "unphysical",
        f"the potential is not usable: {' and '.join(pair)} atoms attract each other below {r_onset:.2f} Å, and no core "
        "repulsion corrects this: add structures with short distances of this pair, or set fewer functions (n_functions)",
    )


def _switch(distances: np.ndarray, r_onset: float) -> np.ndarray:
    """Return the switching function of the fitted functions: the inner cutoff `distance` of pyace."""
    x = np.clip(1.0 - 2.0 * (1.0 + (distances - r_onset) / (SWITCH_WIDTH * r_onset)), -1.0, 1.0)
    return np.asarray(0.5 - 3.75 * (x / 4.0 - x**3 / 6.0 + x**5 / 20.0))


def _dimer_curves(configuration: Any, pairs: Iterable[Pair], distances: np.ndarray) -> dict[Pair, np.ndarray]:
    """Return the dimer energies (eV) of the fitted functions, at each distance."""
    calculator = PyACECalculator(ACEBBasisSet(configuration))
    curves: dict[Pair, np.ndarray] = {}
    for pair in pairs:
        dimer = _dimer(pair, float(distances[0]))
        dimer.calc = calculator
        energies = []
        for distance in distances:
            dimer.positions[1, 2] = distance
            energies.append(float(dimer.get_potential_energy()))
        curves[pair] = np.array(energies)
    return curves
