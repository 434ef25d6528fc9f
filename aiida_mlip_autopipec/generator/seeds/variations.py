"""The variations of a seed by kind; a crystal, slab, chain or molecule has different kinds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from ase import Atoms

from ...config.schemas.generator import GeneratorConfig
from ...dataset.dimension import BOX_MARGIN, connected_directions, dimensionality_of
from ..crystals import at_volume
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
    """Makes variations of structures."""

    def __init__(self, config: GeneratorConfig, elements: Sequence[str], seeds: Sequence[Atoms]) -> None:
        self._config, self._elements, self._seeds = config, elements, seeds
        self._spacings = {id(atoms): crystals.neighbour_distance(atoms) for atoms in seeds}
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
            "stretch": lambda seed, random: self._boxed(molecules.stretched(seed, random)),
            "pair": self._pair,
        }

    def make(self, kind: str, seed: Atoms, random: np.random.Generator) -> Atoms | None:
        """Return a variation of a seed, or None if it is too large; it may violate the shortest distance."""
        return self._kinds[kind](seed, random)

    def _displaced(self, atoms: Atoms, seed: Atoms, low: float, high: float, random: np.random.Generator) -> Atoms:
        """Displace atoms by a standard deviation (log-uniform) relative to the nearest-neighbour distance of the seed."""
        amplitude = float(np.exp(random.uniform(np.log(low), np.log(high))))
        return crystals.rattled(atoms, amplitude * self._spacings[id(seed)], random)

    def _large(self, seed: Atoms, random: np.random.Generator) -> Atoms:
        return crystals.larger_cell(seed, self._config.max_atoms, connected_directions(seed), random)

    def _near_equilibrium(self, seed: Atoms, low: float, high: float, random: np.random.Generator) -> Atoms:
        large = self._large(seed, random)
        return at_volume(large, random.uniform(low, high)) if dimensionality_of(seed) == "crystal" else large

    def _volume(self, seed: Atoms, random: np.random.Generator) -> Atoms:
        return at_volume(seed, random.uniform(*self._config.variations.volume_range))

    def _strain(self, seed: Atoms, random: np.random.Generator) -> Atoms:
        along = connected_directions(seed)
        changed = crystals.strained(seed, self._config.max_strain, along, random)
        return at_volume(changed, random.uniform(0.93, 1.1)) if along.all() else changed

    def _rattle(self, seed: Atoms, random: np.random.Generator) -> Atoms:
        large = self._near_equilibrium(seed, 0.9, 1.15, random)
        return self._boxed(self._displaced(large, seed, 0.01, 0.6 * self._config.max_rattle, random), seed)

    def _hot(self, seed: Atoms, random: np.random.Generator) -> Atoms:
        large = self._near_equilibrium(seed, 0.92, 1.25, random)
        return self._boxed(
            self._displaced(large, seed, 0.5 * self._config.max_rattle, self._config.max_rattle, random), seed
        )

    def _vacancy(self, seed: Atoms, random: np.random.Generator) -> Atoms:
        large = self._near_equilibrium(seed, 0.94, 1.08, random)
        stoichiometric = random.random() < 0.5 and len(set(seed.symbols)) > 1
        return self._displaced(crystals.vacancy(large, stoichiometric, random), seed, 0.005, 0.05, random)

    def _interstitial(self, seed: Atoms, random: np.random.Generator) -> Atoms:
        large = self._near_equilibrium(seed, 1.0, 1.12, random)
        return self._displaced(
            crystals.interstitial(large, sorted(set(seed.symbols)), random), seed, 0.005, 0.05, random
        )

    def _antisite(self, seed: Atoms, random: np.random.Generator) -> Atoms:
        large = self._near_equilibrium(seed, 0.94, 1.1, random)
        return self._displaced(crystals.antisite(large, self._elements, random), seed, 0.005, 0.06, random)

    def _surface(self, seed: Atoms, random: np.random.Generator) -> Atoms | None:
        planes = cuts.miller_planes(self._config.variations.max_miller_index)
        plane = planes[int(random.integers(len(planes)))]
        crystal = at_volume(seed, random.uniform(0.96, 1.06))
        most, vacuum = self._config.max_atoms, self._config.variations.vacuum
        slab = cuts.slab(crystal, plane, most, vacuum, random.random() < 0.5, random)
        return None if slab is None else self._displaced(slab, seed, 0.005, 0.07, random)

    def _cluster(self, seed: Atoms, random: np.random.Generator) -> Atoms:
        size = int(random.integers(4, self._config.max_atoms, endpoint=True))
        cut = cuts.cluster(at_volume(seed, random.uniform(0.9, 1.1)), size, random)
        return self._boxed(self._displaced(cut, seed, 0.01, 0.5 * self._config.max_rattle, random))

    def _pair(self, seed: Atoms, random: np.random.Generator) -> Atoms | None:
        others = [atoms for atoms in self._seeds if dimensionality_of(atoms) == "molecule"]
        partner = others[int(random.integers(len(others)))]
        if len(seed) + len(partner) > max(self._config.max_atoms, 2 * len(seed)):
            return None
        return self._boxed(molecules.pair(seed, partner, random))

    def _boxed(self, atoms: Atoms, seed: Atoms | None = None) -> Atoms:
        """Put a cluster or a molecule into a box that is not periodic; leave variations of a periodic `seed`."""
        if seed is None or not seed.pbc.any():
            atoms.center(vacuum=BOX_MARGIN)
            atoms.pbc = False
        return atoms
