"""Samplers of an exploration round: start structures of MD runs, deformations and relaxations, with their parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_masses, atomic_numbers

from ..config.schemas.exploration import ExplorationConfig
from ..config.schemas.generator import GeneratorConfig
from ..dataset.dimension import connected_directions, dimensionality_of
from ..generator.crystals import supercell
from ..generator.random_crystals import random_crystal
from ..generator.structure import StructureGenerator

_LONGEST_STEP, _SHORTEST_STEP = 2.0, 0.5
"""Limits of the automatic MD step, in fs."""

_DEFORMED_ATOMS = 8
"""Largest number of atoms of a deformed crystal; more atoms add no new environments under strain."""

_RELAXED_ATOMS = 12
"""Largest number of atoms of a random crystal; few larger ones are highly symmetric."""

_GIVEN_STARTS = {
    "nvt": "crystal",
    "npt": "crystal",
    "deformation": "crystal",
    "melt_quench": "crystal",
    "surface": "slab",
    "cluster": "molecule",
}
"""For each purpose of samplers, the dimensionality of the user's structures from which every second sampler starts."""

_NEAR_EQUILIBRIUM = (0.9, 1.1)
"""Range of the volume relative to the estimated equilibrium."""

_ISOTROPIC = 0.6
"""Strain along each axis relative to the size of the strain, if it is isotropic."""


def make_samplers(
    elements: Sequence[str], config: ExplorationConfig, exploration_round: int, starts: Sequence[Atoms] = ()
) -> list[Atoms]:
    """Return the samplers of a round as `explore_structures` reads them; equal arguments give equal samplers.

    A sampler is its start structure, with its parameters in `info`. Samplers take temperatures and pressures in turn, shifted
    from round to round; the random numbers of each round differ.

    :param starts: start structures of every second MD run, deformation and `melt_quench`: crystals, slabs and molecules each
        for the samplers that suit them, as far as they have at most `max_atoms`.
    :raises ValueError: if the elements or settings allow no such structures.
    """
    StructureGenerator().check(elements, len(elements) + 1)
    maker = _SamplerMaker(sorted(elements), config, exploration_round)
    samplers = [
        sampler for purpose in type(config.walkers).model_fields for sampler in maker.for_purpose(purpose, starts)
    ]
    for number, sampler in enumerate(samplers):
        sampler.info["walker"] = number
    return samplers


def divide_among_jobs(samplers: Sequence[Atoms], jobs: int) -> list[list[Atoms]]:
    """Divide samplers among at most `jobs` jobs, such that each job gets some for every purpose."""
    return [list(samplers[number::jobs]) for number in range(min(jobs, len(samplers)))]


class _SamplerMaker:
    """Generates the samplers of a round."""

    def __init__(self, elements: Sequence[str], config: ExplorationConfig, exploration_round: int) -> None:
        self._elements, self._config, self._round = elements, config, exploration_round
        self._seed = [config.seed, exploration_round, *(atomic_numbers[element] for element in elements)]
        self._timestep = _timestep(elements) if config.timestep == "auto" else config.timestep

    def for_purpose(self, purpose: str, starts: Sequence[Atoms]) -> list[Atoms]:
        """Return the samplers for a purpose, a field of `SamplerCounts`."""
        count = getattr(self._config.walkers, purpose)
        if not count:
            return []
        random = np.random.default_rng([*self._seed, *purpose.encode()])
        make: dict[str, Callable[[str, int, np.random.Generator], list[Atoms]]] = {
            "deformation": self._deformations,
            "relaxation": self._relaxations,
            "melt_quench": self._melts,
        }
        samplers = make.get(purpose, self._dynamics)(purpose, count, random)
        if purpose in _GIVEN_STARTS:
            self._start_from(
                samplers, [atoms for atoms in starts if dimensionality_of(atoms) == _GIVEN_STARTS[purpose]], purpose
            )
        for sampler in samplers:
            sampler.info["seed"] = int(random.integers(2**31))
        return samplers

    def _dynamics(self, purpose: str, count: int, random: np.random.Generator) -> list[Atoms]:
        family = {"nvt": "rattled", "npt": "rattled"}.get(purpose, purpose)
        starts = self._generate(family, count, random, max_atoms=self._config.max_atoms)
        if purpose == "surface":
            # The primitive slab is too small for the diffusion and reconstruction of surface atoms.
            starts = [supercell(slab, self._config.max_atoms) for slab in starts]
        return [
            _sampler(
                start,
                "md",
                "md" if family == "rattled" else family,
                steps=self._config.steps,
                timestep=self._timestep,
                temperature=self._in_turn(self._config.temperatures, number),
                pressure=self._pressure(number) if purpose in ("npt", "vacancy") else None,
            )
            for number, start in enumerate(starts)
        ]

    def _deformations(self, purpose: str, count: int, random: np.random.Generator) -> list[Atoms]:
        starts = self._generate(
            "rattled",
            count,
            random,
            max_atoms=min(_DEFORMED_ATOMS, self._config.max_atoms),
            volume_range=_NEAR_EQUILIBRIUM,
            max_rattle=0.02,
        )
        return [
            _sampler(
                start,
                "deformation",
                purpose,
                steps=self._config.deformation_steps,
                strain=_strain(number + self._round, self._config.max_strain, random).tolist(),
                rattle=self._config.rattle,
            )
            for number, start in enumerate(starts)
        ]

    def _relaxations(self, purpose: str, count: int, random: np.random.Generator) -> list[Atoms]:
        most = min(_RELAXED_ATOMS, self._config.max_atoms)
        return [
            _sampler(
                random_crystal(self._elements, most, random),
                "relaxation",
                purpose,
                steps=self._config.relaxation_steps,
                pressure=self._pressure(number),
            )
            for number in range(count)
        ]

    def _generate(self, family: str, count: int, random: np.random.Generator, **settings: Any) -> list[Atoms]:
        """Return structures of one family of the generator."""
        config = GeneratorConfig(
            seed=int(random.integers(2**31)),
            weights={name: float(name == family) for name in GeneratorConfig().weights.model_dump()},
            min_distance_fraction=self._config.min_distance_fraction,
            **settings,
        )
        # The generator puts the free atoms first.
        n_elements = len(self._elements)
        return StructureGenerator(config).generate(self._elements, n_elements + count)[n_elements:]

    def _melts(self, purpose: str, count: int, random: np.random.Generator) -> list[Atoms]:
        starts = self._generate("hot", count, random, max_atoms=self._config.max_atoms, volume_range=_NEAR_EQUILIBRIUM)
        return [
            _sampler(
                start,
                "melt_quench",
                purpose,
                steps=self._config.melt_quench_steps,
                timestep=self._timestep,
                temperature=self._config.melt_temperature,
                final_temperature=self._config.quench_temperature,
            )
            for start in starts
        ]

    def _start_from(self, samplers: list[Atoms], starts: Sequence[Atoms], purpose: str) -> None:
        """Replace the start structure of every second sampler by one of `starts` in turn; rounds start at different ones."""
        most = min(_DEFORMED_ATOMS, self._config.max_atoms) if purpose == "deformation" else self._config.max_atoms
        suitable = [atoms for atoms in starts if len(atoms) <= self._config.max_atoms]
        if not suitable:
            return
        replaced = range(1, len(samplers), 2)
        for turn, number in enumerate(replaced):
            given = suitable[(turn + self._round * len(replaced)) % len(suitable)]
            start = supercell(given, most, connected_directions(given))
            samplers[number] = Atoms(
                start.numbers, positions=start.positions, cell=start.cell, pbc=start.pbc, info=samplers[number].info
            )

    def _pressure(self, number: int) -> float:
        """Return the pressure (GPa) of a sampler; it advances with each repetition of the temperatures."""
        turn, place = divmod(number, len(self._config.temperatures))
        return self._in_turn(self._config.pressures, turn + place)

    def _in_turn(self, values: Sequence[float], number: int) -> float:
        return values[(number + self._round) % len(values)]


def _sampler(start: Atoms, method: str, family: str, **info: Any) -> Atoms:
    """Return a sampler: its start structure with its parameters in ``atoms.info``, the method as `kind`.

    :param method: `md`, `melt_quench`, `deformation` or `relaxation`.
    """
    sampler = start.copy()
    parameters = {key: value for key, value in info.items() if value is not None}
    sampler.info = {"kind": method, "family": f"explored_{family}", **parameters}
    return sampler


def _strain(turn: int, largest: float, random: np.random.Generator) -> np.ndarray:
    """Return a strain (3, 3): uniaxial tension, shear, uniaxial compression, isotropic expansion, compression in turn."""
    along = random.normal(size=3)
    across = np.cross(along, random.normal(size=3))
    along, across = along / np.linalg.norm(along), across / np.linalg.norm(across)
    size = largest * random.uniform(0.6, 1.0)
    return {
        0: size * np.outer(along, along),
        1: size * np.outer(along, across),
        2: -size * np.outer(along, along),
        3: _ISOTROPIC * size * np.eye(3),
        4: -_ISOTROPIC * size * np.eye(3),
    }[turn % 5]


def _timestep(elements: Sequence[str]) -> float:
    """Return an MD step (fs) that resolves the vibrations of the lightest atom."""
    lightest = min(float(atomic_masses[atomic_numbers[element]]) for element in elements)
    return float(np.clip(_SHORTEST_STEP * lightest**0.5, _SHORTEST_STEP, _LONGEST_STEP))
