"""Generator of the structures to label, from free atoms to strongly displaced crystals; without AiiDA."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from ase import Atoms

from ..config.schemas.generator import GeneratorConfig
from ..dataset.apportion import round_to_sum
from ..dataset.species import is_element
from .distances import keeps_distance
from .families import Families, in_box

_ATTEMPTS = 200
"""Maximum number of attempts to make a structure without atoms that are too close."""


class StructureGenerator:
    """Generates structures of one or more elements; equal settings give equal structures."""

    def __init__(self, config: GeneratorConfig | None = None) -> None:
        self.config = config or GeneratorConfig()

    def generate_initial_set(self, element: str, count: int) -> list[Atoms]:
        """Return exactly `count` structures of one element, see :meth:`generate`."""
        return self.generate([element], count)

    def generate(self, elements: Sequence[str], count: int) -> list[Atoms]:
        """Return exactly `count` structures of the elements.

        The free atom of each element comes first; then dimers, trimers and clusters (not periodic, in a box), and perfect,
        strained, rattled, defective and hot crystals and surfaces (periodic), in the proportions of the weights. Several
        elements also give ordered compounds and random alloys. ``atoms.info["family"]`` is the crystal and the kind, such as
        `fcc_rattled`; of dimers, trimers and free atoms the kind alone. Atoms are sorted by species.

        A larger count gives the same structures and more, since each kind has its own random numbers.

        :raises ValueError: for an unknown or repeated element, a count not larger than the number of elements, or settings
            under which every structure has a distance below the shortest allowed one.
        """
        self.check(elements, count)
        structures = free_atoms(elements)
        shares = _apportion_at_least_one(self._weights(elements), count - len(structures))
        makers = Families(self.config, sorted(elements)).makers()
        for family, share in shares.items():
            structures += [self._valid(makers[family], family) for _ in range(share)]
        return structures

    def generate_pool(self, elements: Sequence[str], count: int, pool_ratio: int, block: int) -> list[Atoms]:
        """Return a pool from which to select `count` structures.

        It consists of blocks, from each of which `block` structures are to be selected, and has `pool_ratio` times as many
        structures, except free atoms and dimers, of which it has only as many as :meth:`generate` returns.
        ``atoms.info["block"]`` is the number of the block. A larger count only adds blocks, and each block has all kinds in
        the proportions of the weights.

        :raises ValueError: as in :meth:`generate`.
        """
        self.check(elements, count)
        structures = free_atoms(elements)
        for atoms in structures:
            atoms.info["block"] = 0
        makers = Families(self.config, sorted(elements)).makers()
        made = dict.fromkeys(makers, 0)
        for number in range(math.ceil(count / block)):
            shares = _apportion_at_least_one(self._weights(elements), max(0, block * (number + 1) - len(elements)))
            for family, share in shares.items():
                for _ in range((share if family == "dimer" else share * pool_ratio) - made[family]):
                    structures.append(self._valid(makers[family], family))
                    structures[-1].info["block"] = number
                    made[family] += 1
        return structures

    def check(self, elements: Sequence[str], count: int) -> None:
        """Check elements and count.

        :raises ValueError: for an unknown or repeated element, or a count not larger than the number of elements.
        """
        unknown = [element for element in elements if not is_element(element)]
        if unknown or not elements:
            raise ValueError(
                f"unknown element {', '.join(map(repr, unknown)) or '(none given)'}: write symbols such as 'Cu'"
            )
        if len(set(elements)) != len(elements):
            raise ValueError(f"an element is given twice in {list(elements)}")
        minimum = len(elements) + 1
        if count < minimum:
            raise ValueError(
                f"{count} structures, but at least {minimum} are needed: the free atom of each element ({len(elements)}) and "
                "one structure more"
            )

    def _weights(self, elements: Sequence[str]) -> dict[str, float]:
        """Return the weights of the kinds; random crystals are for several elements."""
        weights = self.config.weights.model_dump()
        return weights if len(elements) > 1 else {**weights, "random": 0.0}

    def _valid(self, make: Callable[[], Atoms], family: str) -> Atoms:
        """Return the next structure without distances below the shortest allowed one."""
        for _ in range(_ATTEMPTS):
            atoms = make()
            if keeps_distance(atoms, self.config.min_distance_fraction):
                return atoms[np.argsort(atoms.get_chemical_symbols(), kind="stable")]
        raise ValueError(
            f"in each of {_ATTEMPTS} generated structures of the kind '{family}', two atoms are closer than "
            "min_distance_fraction allows: lower min_distance_fraction, max_rattle or max_strain, or raise the smallest volume "
            "of volume_range"
        )


def free_atoms(elements: Sequence[str]) -> list[Atoms]:
    """Return the free atom of each element, sorted by element."""
    return [in_box(Atoms(element), "isolated_atom") for element in sorted(elements)]


def _apportion_at_least_one(weights: dict[str, float], count: int) -> dict[str, int]:
    """Apportion `count` by weights: 1 to each weight above zero, the heaviest first, the rest by largest remainders."""
    heaviest = sorted((name for name in weights if weights[name] > 0), key=lambda name: -weights[name])
    shares = {name: int(name in heaviest[:count]) for name in weights}
    rest = count - sum(shares.values())
    total = sum(weights.values())
    more = round_to_sum([rest * weight / total for weight in weights.values()], rest)
    return {name: shares[name] + number for name, number in zip(weights, more, strict=True)}
