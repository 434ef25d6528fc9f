"""Convergence of labels with cutoff and k-points: what is computed, its errors, and the cheapest settings.

Cutoffs are tried at the coarsest k-points, and k-points at the middle cutoff: the errors of both hardly depend on each other.
The error of a pair is estimated as the sum of both errors, its cost as the product of both costs. Without AiiDA.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk

from ..config.errors import UserError
from ..config.schemas.convergence import ConvergenceConfig

RATTLE = 0.04
"""Standard deviation (Å) of the displacements of the default structures, so that there are forces."""

STRAINS = (0.96, 1.03)
"""Factors of the lattice constants of the default structures."""


@dataclass(frozen=True)
class CutoffAndKpoints:
    """A pair of cutoff and distance of k-points (1/Å, with the factor 2π)."""

    cutoff: float
    distance: float


@dataclass(frozen=True)
class Errors:
    """Largest errors over all structures: energy (meV/atom), force (meV/Å), stress (meV/Å^3); cost in seconds per structure."""

    energy: float
    force: float
    stress: float
    seconds: float

    def reach(self, target: ConvergenceConfig) -> bool:
        """Return whether the errors are within the targets."""
        stress_reached = target.stress is None or self.stress <= target.stress
        return self.energy <= target.energy and self.force <= target.force and stress_reached


@dataclass(frozen=True)
class SeriesErrors:
    """Errors of a series of cutoffs and of a series of k-points, from coarse to fine; the last of each is the reference."""

    cutoffs: Mapping[CutoffAndKpoints, Errors]
    distances: Mapping[CutoffAndKpoints, Errors]


def series_to_compute(
    cutoffs: Sequence[float], distances: Sequence[float]
) -> tuple[list[CutoffAndKpoints], list[CutoffAndKpoints]]:
    """Return the settings to compute: growing cutoffs, and falling distances of k-points; both share one setting."""
    middle = cutoffs[len(cutoffs) // 2]
    return [CutoffAndKpoints(cutoff, distances[0]) for cutoff in cutoffs], [
        CutoffAndKpoints(middle, distance) for distance in distances
    ]


def default_structures(elements: Sequence[str]) -> list[Atoms]:
    """Return small distorted crystals of the elements, compressed and stretched.

    :raises UserError: if an element has no crystal structure in ASE's tables.
    """
    structures = []
    for number, element in enumerate(elements):
        try:
            crystal = bulk(element)
        except (ValueError, RuntimeError, KeyError) as error:
            raise UserError(f"ASE has no simple crystal of {element}: give structures by --structures FILE") from error
        if len(crystal) == 1:
            # The force on the only atom of a cell is zero.
            crystal = crystal * (2, 1, 1)
        for factor in STRAINS:
            atoms = crystal.copy()
            atoms.set_cell(atoms.cell * factor, scale_atoms=True)
            atoms.rattle(RATTLE, seed=number)
            structures.append(atoms)
    return structures


def errors_of_series(
    cutoffs: Sequence[CutoffAndKpoints],
    distances: Sequence[CutoffAndKpoints],
    labels: Mapping[CutoffAndKpoints, Sequence[Mapping[str, Any]]],
    seconds: Mapping[CutoffAndKpoints, float],
) -> SeriesErrors:
    """Return the errors of all settings against the finest of their series.

    :param labels: labels of all structures, in the same order, of each setting.
    :param seconds: cost of each setting, in seconds per structure.
    """
    return SeriesErrors(
        {setting: _errors(labels[setting], labels[cutoffs[-1]], seconds[setting]) for setting in cutoffs},
        {setting: _errors(labels[setting], labels[distances[-1]], seconds[setting]) for setting in distances},
    )


def _errors(found: Sequence[Mapping[str, Any]], reference: Sequence[Mapping[str, Any]], seconds: float) -> Errors:
    pairs = list(zip(found, reference, strict=True))
    energy = max(abs(one["energy"] - other["energy"]) / len(one["forces"]) for one, other in pairs)
    force = max(float(np.abs(np.asarray(one["forces"]) - other["forces"]).max()) for one, other in pairs)
    stresses = [
        float(np.abs(np.asarray(one["stress"]) - other["stress"]).max())
        for one, other in pairs
        if "stress" in one and "stress" in other
    ]
    return Errors(1e3 * energy, 1e3 * force, 1e3 * max(stresses, default=0.0), seconds)


def cheapest(series_errors: SeriesErrors, target: ConvergenceConfig) -> tuple[CutoffAndKpoints, Errors] | None:
    """Return the cheapest pair whose estimated errors reach the target, and these errors; None if there is none.

    The finest cutoff and the finest k-points are no candidates, since their own errors are not known.
    """
    costs = _rising_costs(series_errors.cutoffs), _rising_costs(series_errors.distances)
    found = []
    for (one, of_cutoff), cost in list(zip(series_errors.cutoffs.items(), costs[0], strict=True))[:-1]:
        for (other, of_distance), factor in list(zip(series_errors.distances.items(), costs[1], strict=True))[:-1]:
            total = Errors(
                of_cutoff.energy + of_distance.energy,
                of_cutoff.force + of_distance.force,
                of_cutoff.stress + of_distance.stress,
                cost * factor / costs[1][0],
            )
            if total.reach(target):
                # Of pairs with the same cost, the coarser one.
                order = (total.seconds, one.cutoff, -other.distance)
                found.append((order, replace(one, distance=other.distance), total))
    return min(found, key=lambda entry: entry[0])[1:] if found else None


def _rising_costs(series: Mapping[CutoffAndKpoints, Errors]) -> list[float]:
    """Return the costs of a series; a cost below that of a coarser setting is noise, and is raised to that cost."""
    return [float(cost) for cost in np.maximum.accumulate([errors.seconds for errors in series.values()])]


def table_rows(series_errors: SeriesErrors) -> list[list[str]]:
    """Return the rows of the table: both series, with the reference of each marked."""
    lines = []
    for series in (series_errors.cutoffs, series_errors.distances):
        for setting, errors in series.items():
            is_reference = setting == list(series)[-1]
            numbers = [f"{value:.2f}" for value in (errors.energy, errors.force, errors.stress)]
            shown = ["reference", "", ""] if is_reference else numbers
            lines.append([f"{setting.cutoff:g}", f"{setting.distance:g}", *shown, f"{errors.seconds:.2f}"])
    return lines
