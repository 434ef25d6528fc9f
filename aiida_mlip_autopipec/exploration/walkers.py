"""The walkers of a round of exploration: where they start, and what they do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_masses, atomic_numbers

from ..config.schemas.exploration import ExplorationConfig
from ..config.schemas.generator import GeneratorConfig
from ..generator.crystals import supercell
from ..generator.structure import StructureGenerator
from .random_crystals import random_crystal

_LONGEST_STEP, _SHORTEST_STEP = 2.0, 0.5
"""fs"""

_DEFORMED_ATOMS = 8
"""Largest number of atoms of what is deformed: the strain does it, not the size."""

_RELAXED_ATOMS = 12
"""Largest number of atoms of a random crystal: with more, few of them have much symmetry."""

_NEAR_EQUILIBRIUM = (0.9, 1.1)
_ISOTROPIC = 0.6
"""Part of a strain's size that goes into each direction if all change."""


def make_walkers(
    elements: Sequence[str], config: ExplorationConfig, exploration_round: int, starts: Sequence[Atoms] = ()
) -> list[Atoms]:
    """Return the walkers of a round, the same ones for the same arguments, as `explore_structures` reads them.

    Each is the structure it starts from; what it does stands in its `info`. Temperatures and pressures are taken in turn, and
    another round has other ones at the same place, and other random numbers.

    :param starts: structures that every second walker of molecular dynamics of crystals starts from: those that are periodic
        and small enough.
    :raises ValueError: if the elements or settings allow no such structures.
    """
    StructureGenerator().check(elements, len(elements) + 1)
    maker = _Maker(sorted(elements), config, exploration_round)
    walkers = [walker for kind in type(config.walkers).model_fields for walker in maker.of_kind(kind, starts)]
    for number, walker in enumerate(walkers):
        walker.info["walker"] = number
    return walkers


def divide(walkers: Sequence[Atoms], jobs: int) -> list[list[Atoms]]:
    """Divide walkers among at most so many jobs, each with some of every kind."""
    return [list(walkers[number::jobs]) for number in range(min(jobs, len(walkers)))]


class _Maker:
    """Makes the walkers of a round."""

    def __init__(self, elements: Sequence[str], config: ExplorationConfig, exploration_round: int) -> None:
        self._elements, self._config, self._round = elements, config, exploration_round
        self._seed = [config.seed, exploration_round, *(atomic_numbers[element] for element in elements)]
        self._timestep = _timestep(elements) if config.timestep == "auto" else config.timestep

    def of_kind(self, kind: str, starts: Sequence[Atoms]) -> list[Atoms]:
        """Return the walkers of a kind, one of the fields of `WalkerCounts`."""
        count = getattr(self._config.walkers, kind)
        if not count:
            return []
        random = np.random.default_rng([*self._seed, *kind.encode()])
        make: dict[str, Callable[[str, int, np.random.Generator], list[Atoms]]] = {
            "deformation": self._deformations,
            "relaxation": self._relaxations,
        }
        walkers = make.get(kind, self._dynamics)(kind, count, random)
        if kind in ("nvt", "npt"):
            self._start_from(walkers, starts, random)
        for walker in walkers:
            walker.info["seed"] = int(random.integers(2**31))
        return walkers

    def _dynamics(self, kind: str, count: int, random: np.random.Generator) -> list[Atoms]:
        family = {"nvt": "rattled", "npt": "rattled"}.get(kind, kind)
        starts = self._generate(family, count, random, max_atoms=self._config.max_atoms)
        if kind == "surface":
            # A slab is the smallest cell of its plane: too small for what atoms do on it.
            starts = [supercell(slab, self._config.max_atoms) for slab in starts]
        return [
            _walker(
                start,
                "md",
                "md" if family == "rattled" else family,
                steps=self._config.steps,
                timestep=self._timestep,
                temperature=self._in_turn(self._config.temperatures, number),
                pressure=self._pressure(number) if kind in ("npt", "vacancy") else None,
            )
            for number, start in enumerate(starts)
        ]

    def _deformations(self, kind: str, count: int, random: np.random.Generator) -> list[Atoms]:
        starts = self._generate(
            "rattled",
            count,
            random,
            max_atoms=min(_DEFORMED_ATOMS, self._config.max_atoms),
            volume_range=_NEAR_EQUILIBRIUM,
            max_rattle=0.02,
        )
        return [
            _walker(
                start,
                "deformation",
                kind,
                steps=self._config.deformation_steps,
                strain=_strain(number + self._round, self._config.max_strain, random).tolist(),
                rattle=self._config.rattle,
            )
            for number, start in enumerate(starts)
        ]

    def _relaxations(self, kind: str, count: int, random: np.random.Generator) -> list[Atoms]:
        most = min(_RELAXED_ATOMS, self._config.max_atoms)
        return [
            _walker(
                random_crystal(self._elements, most, random),
                "relaxation",
                kind,
                steps=self._config.relaxation_steps,
                pressure=self._pressure(number),
            )
            for number in range(count)
        ]

    def _generate(self, family: str, count: int, random: np.random.Generator, **settings: Any) -> list[Atoms]:
        """Return structures of a family of the generator's."""
        config = GeneratorConfig(
            seed=int(random.integers(2**31)),
            weights={name: float(name == family) for name in GeneratorConfig().weights.model_dump()},
            min_distance_fraction=self._config.min_distance_fraction,
            **settings,
        )
        # The free atoms come first.
        n_elements = len(self._elements)
        return StructureGenerator(config).generate(self._elements, n_elements + count)[n_elements:]

    def _start_from(self, walkers: list[Atoms], starts: Sequence[Atoms], random: np.random.Generator) -> None:
        """Let every second walker start from one of some structures."""
        fit = [atoms for atoms in starts if atoms.pbc.all() and 1 < len(atoms) <= self._config.max_atoms]
        if not fit:
            return
        for number in range(1, len(walkers), 2):
            start = fit[int(random.integers(len(fit)))]
            walkers[number] = Atoms(
                start.numbers, positions=start.positions, cell=start.cell, pbc=True, info=walkers[number].info
            )

    def _pressure(self, number: int) -> float:
        """Return the pressure of a walker: each time that a temperature comes it is the next one."""
        turn, place = divmod(number, len(self._config.temperatures))
        return self._in_turn(self._config.pressures, turn + place)

    def _in_turn(self, values: Sequence[float], number: int) -> float:
        return values[(number + self._round) % len(values)]


def _walker(start: Atoms, kind: str, family: str, **info: Any) -> Atoms:
    walker = start.copy()
    given = {key: value for key, value in info.items() if value is not None}
    walker.info = {"kind": kind, "family": f"explored_{family}", **given}
    return walker


def _strain(turn: int, largest: float, random: np.random.Generator) -> np.ndarray:
    """Return a strain (3, 3) along or across a random direction, or in all: stretched, compressed and sheared in turn."""
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
    """Return a step (fs) that resolves the vibrations of the lightest atom."""
    lightest = min(float(atomic_masses[atomic_numbers[element]]) for element in elements)
    return float(np.clip(_SHORTEST_STEP * lightest**0.5, _SHORTEST_STEP, _LONGEST_STEP))
