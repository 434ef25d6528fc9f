"""The variations of a given structure by kind; a crystal, slab, chain or molecule has different kinds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from ase import Atoms

from ...config.schemas.generator import GeneratorConfig
from ...dataset.dimension import BOX_MARGIN, connected_directions, dimensionality_of
from ..crystals import at_volume, neighbour_distance
from . import crystals, cuts, molecules

_SOLIDS = ("strain", "rattle", "hot", "vacancy", "antisite")
SUITABLE = {
    "crystal": ("volume", *_SOLIDS, "interstitial", "surface", "cluster"),
    "slab": _SOLIDS,
    "chain": _SOLIDS,
    "molecule": ("rattle", "hot", "stretch", "pair"),
}
"""Kinds of variation of a crystal, slab, chain or molecule."""

_Make = Callable[[Atoms, np.random.Generator], Atoms | None]


class Variations:
    """Makes variations of given structures."""

    def __init__(self, config: GeneratorConfig, elements: Sequence[str], structures: Sequence[Atoms]) -> None:
        self._config, self._elements, self._structures = config, elements, structures
        self._spacings = {id(atoms): neighbour_distance(atoms) for atoms in structures}
        self._kinds: dict[str, _Make] = {
            "volume": self._volume,
            "strain": self._strain,
            "rattle": self._rattle,
            "hot": self._hot,
            "vacancy": self._vacancy,
            "interstitial": self._interstitial,
            "antisite": self._antisite,
            "surface": self._surface,
            "cluster": self._cluster,
            "stretch": lambda given, random: self._boxed(molecules.stretched(given, random)),
            "pair": self._pair,
        }

    def make(self, kind: str, given: Atoms, random: np.random.Generator) -> Atoms | None:
        """Return a variation of a given structure, or None if it is too large; it may violate the shortest distance."""
        return self._kinds[kind](given, random)

    def _displaced(self, atoms: Atoms, given: Atoms, low: float, high: float, random: np.random.Generator) -> Atoms:
        """Return displaced atoms.

        :param low: smallest standard deviation (log-uniform up to `high`), relative to the shortest distance in `given`.
        """
        amplitude = float(np.exp(random.uniform(np.log(low), np.log(high))))
        return crystals.rattled(atoms, amplitude * self._spacings[id(given)], random)

    def _large(self, given: Atoms, random: np.random.Generator) -> Atoms:
        return crystals.larger_cell(given, self._config.max_atoms, connected_directions(given), random)

    def _near_equilibrium(self, given: Atoms, low: float, high: float, random: np.random.Generator) -> Atoms:
        large = self._large(given, random)
        return at_volume(large, random.uniform(low, high)) if dimensionality_of(given) == "crystal" else large

    def _volume(self, given: Atoms, random: np.random.Generator) -> Atoms:
        return at_volume(given, random.uniform(*self._config.variations.volume_range))

    def _strain(self, given: Atoms, random: np.random.Generator) -> Atoms:
        along = connected_directions(given)
        changed = crystals.strained(given, self._config.max_strain, along, random)
        return at_volume(changed, random.uniform(0.93, 1.1)) if along.all() else changed

    def _rattle(self, given: Atoms, random: np.random.Generator) -> Atoms:
        large = self._near_equilibrium(given, 0.9, 1.15, random)
        return self._boxed(self._displaced(large, given, 0.01, 0.6 * self._config.max_rattle, random), given)

    def _hot(self, given: Atoms, random: np.random.Generator) -> Atoms:
        large = self._near_equilibrium(given, 0.92, 1.25, random)
        return self._boxed(
            self._displaced(large, given, 0.5 * self._config.max_rattle, self._config.max_rattle, random), given
        )

    def _vacancy(self, given: Atoms, random: np.random.Generator) -> Atoms:
        large = self._near_equilibrium(given, 0.94, 1.08, random)
        stoichiometric = random.random() < 0.5 and len(set(given.symbols)) > 1
        return self._displaced(crystals.vacancy(large, stoichiometric, random), given, 0.005, 0.05, random)

    def _interstitial(self, given: Atoms, random: np.random.Generator) -> Atoms:
        large = self._near_equilibrium(given, 1.0, 1.12, random)
        return self._displaced(
            crystals.interstitial(large, sorted(set(given.symbols)), random), given, 0.005, 0.05, random
        )

    def _antisite(self, given: Atoms, random: np.random.Generator) -> Atoms:
        large = self._near_equilibrium(given, 0.94, 1.1, random)
        return self._displaced(crystals.antisite(large, self._elements, random), given, 0.005, 0.06, random)

    def _surface(self, given: Atoms, random: np.random.Generator) -> Atoms | None:
        planes = cuts.miller_planes(self._config.variations.max_miller_index)
        plane = planes[int(random.integers(len(planes)))]
        crystal = at_volume(given, random.uniform(0.96, 1.06))
        most, vacuum = self._config.max_atoms, self._config.variations.vacuum
        slab = cuts.slab(crystal, plane, most, vacuum, random.random() < 0.5, random)
        return None if slab is None else self._displaced(slab, given, 0.005, 0.07, random)

    def _cluster(self, given: Atoms, random: np.random.Generator) -> Atoms:
        size = int(random.integers(4, self._config.max_atoms, endpoint=True))
        cut = cuts.cluster(at_volume(given, random.uniform(0.9, 1.1)), size, random)
        return self._boxed(self._displaced(cut, given, 0.01, 0.5 * self._config.max_rattle, random))

    def _pair(self, given: Atoms, random: np.random.Generator) -> Atoms | None:
        others = [atoms for atoms in self._structures if dimensionality_of(atoms) == "molecule"]
        partner = others[int(random.integers(len(others)))]
        if len(given) + len(partner) > max(self._config.max_atoms, 2 * len(given)):
            return None
        return self._boxed(molecules.pair(given, partner, random))

    def _boxed(self, atoms: Atoms, given: Atoms | None = None) -> Atoms:
        """Put a cluster or a molecule into a box that is not periodic; leave variations of a periodic structure."""
        if given is None or not given.pbc.any():
            atoms.center(vacuum=BOX_MARGIN)
            atoms.pbc = False
        return atoms
