"""Structures to label from the user's own structures: the given ones, variations of them, and structures of the elements."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from ase import Atoms

from ...config.schemas.generator import GeneratorConfig
from ...dataset.dimension import dimensionality_of
from ..distances import keeps_distance
from ..structure import StructureGenerator, free_atoms
from .kinds import SUITABLE, Variations

_ATTEMPTS = 200
"""Maximum number of attempts to make a structure without atoms that are too close."""


class VariationGenerator:
    """Generates structures from given ones; equal settings and given structures give equal structures.

    :param given: the given structures, whose info has `seed` (their name), `origin`, `role` and `weight`.
    """

    def __init__(self, config: GeneratorConfig, elements: Sequence[str], given: Sequence[Atoms]) -> None:
        self._config, self._elements, self._given = config, sorted(elements), list(given)
        # `as_is` structures are labelled, not varied.
        self._varied = [atoms for atoms in given if atoms.info.get("role") != "as_is" and atoms.info.get("weight", 1.0)]

    def check(self, count: int) -> None:
        """Check the number of structures.

        :raises ValueError: if the free atoms and the given structures are not fewer than `count`.
        """
        fixed = len(self._elements) + len(self._given)
        if count <= fixed:
            raise ValueError(
                f"{count} structures, but at least {fixed + 1} are needed: the free atom of each element "
                f"({len(self._elements)}), the given structures ({len(self._given)}), and one structure more"
            )

    def generate(self, count: int) -> list[Atoms]:
        """Return exactly `count` structures: those of the elements, the given ones, and variations of them.

        :raises ValueError: if `count` is too small, or a kind of variation never keeps the shortest allowed distance.
        """
        self.check(count)
        varied = self._number_varied(count)
        others = count - len(self._given) - varied
        variations = self._variations()
        return [
            *(
                free_atoms(self._elements)
                if others == len(self._elements)
                else StructureGenerator(self._config).generate(self._elements, others)
            ),
            *(atoms.copy() for atoms in self._given),
            *(next(variations) for _ in range(varied)),
        ]

    def generate_pool(self, count: int, pool_ratio: int, block: int) -> list[Atoms]:
        """Return a pool from which to select `count` structures, see :meth:`StructureGenerator.generate_pool`."""
        self.check(count)
        varied = self._number_varied(count)
        blocks = math.ceil(count / block)
        others = count - len(self._given) - varied
        if others == len(self._elements):
            pool = [_in_block(atoms, 0) for atoms in free_atoms(self._elements)]
        else:
            pool = StructureGenerator(self._config).generate_pool(
                self._elements, others, pool_ratio, max(1, math.ceil(others / blocks))
            )
        pool += [_in_block(atoms.copy(), 0) for atoms in self._given]
        variations = self._variations()
        for number in range(blocks):
            share = varied * (number + 1) // blocks - varied * number // blocks
            pool += [_in_block(next(variations), number) for _ in range(share * pool_ratio)]
        return pool

    def _number_varied(self, count: int) -> int:
        if not self._varied:
            return 0
        free = count - len(self._elements) - len(self._given)
        # StructureGenerator makes the free atoms and at least one more structure; with a share of 1 it is not used.
        return free if self._config.seed_share == 1.0 else min(round(self._config.seed_share * free), free - 1)

    def _variations(self) -> Iterator[Atoms]:
        """Yield variations without end: given structures by their weights, and for each its kinds by theirs."""
        maker = Variations(self._config, self._elements, self._varied)
        turns = _in_proportion([float(atoms.info.get("weight", 1.0)) for atoms in self._varied])
        kinds = [self._kinds_of(atoms) for atoms in self._varied]
        randoms = [np.random.default_rng([self._config.seed, number]) for number in range(len(self._varied))]
        for number in turns:
            yield self._valid(maker, self._varied[number], kinds[number], randoms[number])

    def _kinds_of(self, given: Atoms) -> Iterator[str]:
        weights = self._config.variations.weights.model_dump()
        names = [name for name in SUITABLE[dimensionality_of(given)] if weights[name]]
        if not names:
            raise ValueError(
                f"{given.info['seed']}: all variations of a {dimensionality_of(given)} have the weight zero"
            )
        return (names[index] for index in _in_proportion([weights[name] for name in names]))

    def _valid(self, maker: Variations, given: Atoms, kinds: Iterator[str], random: np.random.Generator) -> Atoms:
        """Return the next variation with at least one atom and without distances below the shortest allowed one."""
        for _ in range(_ATTEMPTS):
            kind = next(kinds)
            atoms = maker.make(kind, given, random)
            if atoms is not None and len(atoms) and keeps_distance(atoms, self._config.min_distance_fraction):
                atoms = atoms[np.argsort(atoms.get_chemical_symbols(), kind="stable")]
                atoms.info = {"family": f"{given.info['seed']}_{kind}", "origin": given.info["origin"]}
                return atoms
        raise ValueError(
            f"{given.info['origin']}: in each of {_ATTEMPTS} variations, two atoms are closer than min_distance_fraction "
            "allows: lower min_distance_fraction, max_rattle or max_strain"
        )


def _in_block(atoms: Atoms, number: int) -> Atoms:
    atoms.info["block"] = number
    return atoms


def _in_proportion(weights: Sequence[float]) -> Iterator[int]:
    """Yield indices without end in proportion to weights, each as evenly as possible (largest deficit first)."""
    shares = np.array(weights) / sum(weights)
    due = np.zeros(len(weights))
    while True:
        due += shares
        index = int(np.argmax(due))
        due[index] -= 1.0
        yield index
