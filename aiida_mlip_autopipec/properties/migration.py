"""Migration barrier of a vacancy by the nudged elastic band method."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from ase import Atoms
from ase.mep import NEB
from ase.optimize import FIRE

from ..config.schemas.properties import MigrationSettings
from ..validation.symmetry import conventional, sites_of
from .crystals import relax_positions, supercell
from .model import Line, NotComputableError, Panel, Plot, Property, Result, Value

_MAX_STEPS = 500
"""Maximum number of steps of the relaxation of a path."""


class Migration(Property):
    """Barrier of the hop of a vacancy to the nearest site of the same element, by the climbing-image nudged elastic band.

    Henkelman, Uberuaga and Jónsson, J. Chem. Phys. 113, 9901 (2000), as ASE has it.
    """

    name = "migration"
    Settings = MigrationSettings

    def measure(self, name: str, structures: Mapping[str, Atoms], calculator: Any) -> Result:
        """Return the barriers (eV) and the energies along the paths."""
        crystal = conventional(structures[name])
        perfect = supercell(crystal, self.settings.min_length)
        values, plots = [], []
        for label, site in sites_of(crystal).items():
            x, energies = self._path(perfect, site, calculator)
            values.append(Value(f"{label} vacancy migration energy", float(energies.max() - energies[0]), "eV"))
            panel = Panel("path (Å)", "energy (eV)", [Line(x, energies - energies[0], points=True)])
            plots.append(Plot(f"{label} vacancy migration", [panel]))
        return Result(self.name, name, values, plots, [f"{len(perfect)} atoms in the supercell, constant volume"])

    def _path(self, perfect: Atoms, site: int, calculator: Any) -> tuple[np.ndarray, np.ndarray]:
        neighbour = _nearest(perfect, site)
        first, last = perfect.copy(), perfect.copy()
        # The same atom hops into the vacancy: its position differs between the ends.
        last.positions[neighbour] = perfect.positions[neighbour] + perfect.get_distance(
            neighbour, site, mic=True, vector=True
        )
        for end in (first, last):
            del end[site]
        ends = [relax_positions(end, calculator, self.settings.max_force / 2) for end in (first, last)]
        images = [ends[0], *(ends[0].copy() for _ in range(self.settings.images)), ends[1]]
        band = NEB(images, climb=True, method="improvedtangent", allow_shared_calculator=True)
        band.interpolate(mic=True)
        for image in images:
            image.calc = calculator
        with FIRE(band, logfile=None) as optimiser:
            if not optimiser.run(fmax=self.settings.max_force, steps=_MAX_STEPS):
                raise NotComputableError(f"the nudged elastic band did not converge in {_MAX_STEPS} steps")
        steps = [np.linalg.norm(b.positions - a.positions) for a, b in pairwise(images)]
        energies = np.array([image.get_potential_energy() for image in images])
        return np.concatenate([[0.0], np.cumsum(steps)]), energies


def _nearest(perfect: Atoms, site: int) -> int:
    distances = perfect.get_distances(site, range(len(perfect)), mic=True)
    same = [n for n in range(len(perfect)) if n != site and perfect.numbers[n] == perfect.numbers[site]]
    return min(same, key=lambda number: distances[number])
