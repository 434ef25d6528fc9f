"""Structures to label, made to teach a potential: from the free atom to the hot crystal. Pure ASE."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations_with_replacement, count, cycle

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii
from ase.neighborlist import neighbor_list

from ..config.schemas.generator import GeneratorConfig
from .crystals import Crystal, alloy_crystals, elemental_crystals, ordered_crystals, supercell

VACUUM = 7.0
"""Space (Å) around a cluster on every side of its box."""

LONGEST_BOND = 6.5
"""Longest distance (Å) in a dimer: beyond the usual cutoffs."""

THINNEST_SLAB = 5.0
"""Thickness (Å) of a slab, at least, if it may have atoms enough."""

VACUUM_BETWEEN_SLABS = (8.0, 12.0)
"""Space (Å) between slabs: beyond the usual cutoffs."""

CLUSTER_SIZES = (4, 32)
"""Fewest and most atoms of a cluster. Measured on copper: without those of more than 13, the errors of forces in clusters of 13
to 55 atoms are three times as large."""

_ATTEMPTS = 200


class StructureGenerator:
    """Generates structures of one or more elements, the same ones for the same settings."""

    def __init__(self, config: GeneratorConfig | None = None) -> None:
        self.config = config or GeneratorConfig()

    def generate_initial_set(self, element: str, count: int) -> list[Atoms]:
        """Return exactly `count` structures of one element; see :meth:`generate`."""
        return self.generate([element], count)

    def generate(self, elements: Sequence[str], count: int) -> list[Atoms]:
        """Return exactly `count` structures of some elements.

        First the free atom of each element; then dimers, trimers and clusters (not periodic, in a box), perfect, strained,
        rattled, defective and hot crystals and their surfaces (periodic), in the shares of the settings' weights; with
        several elements also their ordered compounds and random alloys. ``atoms.info["family"]`` tells the kind; atoms are
        sorted by species.

        More structures are the same ones and some more, since each kind draws its random numbers by itself.

        :raises ValueError: for an unknown element or one given twice, a count too small to hold more than the free atoms,
            or settings under which no structure keeps the shortest allowed distance.
        """
        self.check(elements, count)
        structures = [_in_box(Atoms(element), "isolated_atom") for element in sorted(elements)]
        shares = _apportion(self.config.weights.model_dump(), count - len(structures))
        makers = self._makers(sorted(elements))
        for family, share in shares.items():
            structures += [self._valid(makers[family], family) for _ in range(share)]
        return structures

    def generate_pool(self, elements: Sequence[str], count: int, times: int, block: int) -> list[Atoms]:
        """Return structures from which to choose `count`: `times` as many, but no more free atoms and dimers.

        ``atoms.info["block"]`` tells their part, of which `block` are to be chosen: those that each `block` more add to
        :meth:`generate`. A larger count only adds parts, and each part holds all kinds in their shares.

        :raises ValueError: as :meth:`generate`.
        """
        self.check(elements, count)
        structures = [_in_box(Atoms(element), "isolated_atom") for element in sorted(elements)]
        for atoms in structures:
            atoms.info["block"] = 0
        makers = self._makers(sorted(elements))
        made = dict.fromkeys(makers, 0)
        for number in range(math.ceil(count / block)):
            shares = _apportion(self.config.weights.model_dump(), max(0, block * (number + 1) - len(elements)))
            for family, share in shares.items():
                for _ in range((share if family == "dimer" else share * times) - made[family]):
                    structures.append(self._valid(makers[family], family))
                    structures[-1].info["block"] = number
                    made[family] += 1
        return structures

    def check(self, elements: Sequence[str], count: int) -> None:
        """Raise a ValueError if no set of so many structures of some elements can be made."""
        unknown = [element for element in elements if element not in atomic_numbers or element == "X"]
        if unknown or not elements:
            raise ValueError(
                f"unknown element {', '.join(map(repr, unknown)) or '(none given)'}: write symbols such as 'Cu'"
            )
        if len(set(elements)) != len(elements):
            raise ValueError(f"an element is given twice in {list(elements)}")
        minimum = len(elements) + 1
        if count < minimum:
            raise ValueError(
                f"count is {count}, but at least {minimum} are needed: the free atom of each element ({len(elements)}) and "
                "one structure more"
            )

    def _makers(self, elements: Sequence[str]) -> dict[str, Callable[[], Atoms]]:
        """Return for each family the function that makes its next structure."""
        seed = [self.config.seed, *(atomic_numbers[element] for element in elements)]
        crystals = self._crystals(elements, np.random.default_rng(seed))
        pairs = cycle(combinations_with_replacement(elements, 2))
        triples = cycle(combinations_with_replacement(elements, 3))
        steps = _dense_first(len(elements) * (len(elements) + 1) // 2)

        def of_crystals(make: Callable[[Crystal, np.random.Generator], Atoms], number: int) -> Callable[[], Atoms]:
            source, random = _alternating(crystals, len(elements)), np.random.default_rng([*seed, number])
            return lambda: make(next(source), random)

        random = np.random.default_rng([*seed, 0])
        volumes = _spread(np.random.default_rng([*seed, 1]), *self.config.volume_range)
        return {
            "dimer": lambda: self._dimer(next(pairs), next(steps)),
            "trimer": lambda: self._trimer(next(triples), random),
            "crystal": of_crystals(lambda crystal, _: self._crystal(crystal, next(volumes)), 2),
            "strained": of_crystals(self._strained, 3),
            "rattled": of_crystals(self._rattled, 4),
            "vacancy": of_crystals(self._vacancy, 5),
            "hot": of_crystals(self._hot, 6),
            "surface": of_crystals(self._surface, 7),
            "cluster": of_crystals(self._cluster, 8),
        }

    def _crystals(self, elements: Sequence[str], random: np.random.Generator) -> list[list[Crystal]]:
        """Return groups of crystals; within a group the first is the most important."""
        groups = [elemental_crystals(element, self.config.prototypes) for element in elements]
        if len(elements) > 1:
            groups.append(ordered_crystals(elements))
            groups.append(alloy_crystals(elements, self.config.prototypes, self._size(16), random))
        return groups

    def _size(self, wanted: int) -> int:
        return min(wanted, self.config.max_atoms)

    def _dimer(self, pair: Sequence[str], step: float) -> Atoms:
        """Return a dimer, `step` of the way from the shortest to the longest distance; short ones stand denser."""
        shortest = self.config.min_distance_fraction * _radii_sum(*pair) * 1.001
        distance = shortest + (max(LONGEST_BOND, 1.5 * shortest) - shortest) * step**1.5
        return _in_box(Atoms(list(pair), positions=[[0, 0, 0], [0, 0, distance]]), "dimer")

    def _trimer(self, triple: Sequence[str], random: np.random.Generator) -> Atoms:
        bonds = [_radii_sum(triple[0], other) * random.uniform(0.75, 1.8) for other in triple[1:]]
        angle = random.uniform(np.pi / 4, np.pi)
        positions = [[0, 0, 0], [bonds[0], 0, 0], [bonds[1] * np.cos(angle), bonds[1] * np.sin(angle), 0]]
        return _in_box(Atoms(list(triple), positions=positions), "trimer")

    def _crystal(self, crystal: Crystal, volume: float) -> Atoms:
        return _named(_at_volume(crystal.cell, volume), crystal, "crystal")

    def _strained(self, crystal: Crystal, random: np.random.Generator) -> Atoms:
        cell = _at_volume(crystal.cell, random.uniform(0.92, 1.12))
        strain = random.uniform(-self.config.max_strain, self.config.max_strain, (3, 3))
        cell.set_cell(cell.cell.array @ (np.eye(3) + (strain + strain.T) / 2), scale_atoms=True)
        return _named(cell, crystal, "strained")

    def _rattled(self, crystal: Crystal, random: np.random.Generator) -> Atoms:
        low, high = self.config.volume_range
        cell = supercell(crystal.cell, self._size(int(random.choice([4, 8, 16, 32]))))
        cell = _at_volume(cell, float(np.clip(random.normal(1.0, 0.12), low, high)))
        amplitude = np.exp(random.uniform(np.log(0.01), np.log(self.config.max_rattle * 0.6)))
        return _named(_displaced(cell, amplitude * crystal.neighbour_distance, random), crystal, "rattled")

    def _vacancy(self, crystal: Crystal, random: np.random.Generator) -> Atoms:
        cell = supercell(crystal.cell, self._size(int(random.choice([8, 16, 32]))))
        cell = _at_volume(cell, random.uniform(0.9, 1.1))
        if len(cell) > 1:
            del cell[int(random.integers(len(cell)))]
        amplitude = random.uniform(0.005, 0.05)
        return _named(_displaced(cell, amplitude * crystal.neighbour_distance, random), crystal, "vacancy")

    def _hot(self, crystal: Crystal, random: np.random.Generator) -> Atoms:
        cell = supercell(crystal.cell, self._size(int(random.choice([16, 32]))))
        cell = _at_volume(cell, random.uniform(0.9, 1.3))
        amplitude = random.uniform(0.6, 1.0) * self.config.max_rattle
        return _named(_displaced(cell, amplitude * crystal.neighbour_distance, random), crystal, "hot")

    def _surface(self, crystal: Crystal, random: np.random.Generator) -> Atoms:
        """Return a slab of a supercell, cut along a plane of its cell."""
        axis = int(random.integers(3))
        cell = _at_volume(crystal.cell, random.uniform(0.9, 1.1))
        thick = THINNEST_SLAB * random.uniform(1.0, 1.8)
        layers = max(1, math.ceil(thick / _height(cell, axis)))
        repeat = [1, 1, 1]
        repeat[axis] = max(1, min(layers, self.config.max_atoms // len(cell)))
        slab = _displaced(cell.repeat(repeat), random.uniform(0.005, 0.08) * crystal.neighbour_distance, random)
        vacuum = random.uniform(*VACUUM_BETWEEN_SLABS)
        vectors = slab.cell.array
        vectors[axis] *= 1.0 + vacuum / _height(slab, axis)
        slab.set_cell(vectors, scale_atoms=False)
        return _named(slab, crystal, "surface")

    def _cluster(self, crystal: Crystal, random: np.random.Generator) -> Atoms:
        """Return the atoms of a crystal that are nearest to a random point."""
        size = self._size(int(random.integers(*CLUSTER_SIZES, endpoint=True)))
        spacing = crystal.neighbour_distance * random.uniform(0.94, 1.06)
        cell = _at_volume(crystal.cell, (spacing / crystal.neighbour_distance) ** 3)
        repeat = [2 * math.ceil(3.0 * spacing / _height(cell, axis)) for axis in range(3)]
        large = cell.repeat(repeat)
        centre = large.cell.array.sum(axis=0) / 2 + random.normal(0.0, 0.5 * spacing, 3)
        nearest = np.argsort(np.linalg.norm(large.positions - centre, axis=1), kind="stable")[:size]
        cluster = Atoms(large.numbers[nearest], positions=large.positions[nearest])
        amplitude = random.uniform(0.01, 0.5 * self.config.max_rattle)
        return _in_box(_displaced(cluster, amplitude * spacing, random), f"{crystal.name}_cluster")

    def _valid(self, make: Callable[[], Atoms], family: str) -> Atoms:
        """Return the next structure that keeps the shortest allowed distance."""
        for _ in range(_ATTEMPTS):
            atoms = make()
            if keeps_distance(atoms, self.config.min_distance_fraction):
                return atoms[np.argsort(atoms.get_chemical_symbols(), kind="stable")]
        raise ValueError(
            f"none of {_ATTEMPTS} structures of the kind '{family}' keeps the shortest distance: lower "
            "min_distance_fraction, max_rattle or max_strain, or raise the smallest volume of volume_range"
        )


def keeps_distance(atoms: Atoms, fraction: float) -> bool:
    """Tell whether no two atoms are closer than a fraction of the sum of their covalent radii."""
    return len(neighbor_list("i", atoms, list(covalent_radii[atoms.numbers] * fraction))) == 0


def _radii_sum(first: str, second: str) -> float:
    return float(covalent_radii[atomic_numbers[first]] + covalent_radii[atomic_numbers[second]])


def _in_box(cluster: Atoms, family: str) -> Atoms:
    """Put a cluster, not periodic, into the middle of a box with vacuum around it."""
    cluster.center(vacuum=VACUUM)
    cluster.pbc = False
    cluster.info = {"family": family}
    return cluster


def _named(cell: Atoms, crystal: Crystal, kind: str) -> Atoms:
    cell.pbc = True
    cell.info = {"family": f"{crystal.name}_{kind}"}
    return cell


def _at_volume(cell: Atoms, factor: float) -> Atoms:
    scaled = cell.copy()
    scaled.set_cell(cell.cell.array * factor ** (1 / 3), scale_atoms=True)
    return scaled


def _height(cell: Atoms, axis: int) -> float:
    """Return the distance (Å) between the faces of a cell that an axis goes through."""
    return float(1.0 / np.linalg.norm(np.linalg.inv(cell.cell.array)[:, axis]))


def _displaced(cell: Atoms, amplitude: float, random: np.random.Generator) -> Atoms:
    cell.positions += random.normal(0.0, amplitude, cell.positions.shape)
    return cell


def _alternating(groups: Sequence[Sequence[Crystal]], n_elements: int) -> Iterator[Crystal]:
    """Yield crystals for ever: the groups in turn, and within an element's group every other time its first crystal."""
    others = [cycle(group[1:] or group) for group in groups]
    for turn in cycle((0, 1)):
        for number, group in enumerate(groups):
            yield group[0] if turn == 0 and number < n_elements else next(others[number])


def _dense_first(repeat: int) -> Iterator[float]:
    """Yield numbers of [0, 1) that fill it evenly however many are taken, each `repeat` times.

    The sequence of van der Corput (1935): 0, 1/2, 1/4, 3/4, 1/8, ...
    """
    for number in count():
        digits = f"{number:b}"[::-1]
        for _ in range(repeat):
            yield int(digits, 2) / 2 ** len(digits)


def _spread(random: np.random.Generator, low: float, high: float) -> Iterator[float]:
    """Yield numbers that fill an interval evenly however many are taken (additive recurrence with the golden ratio)."""
    at = random.uniform()
    while True:
        yield low + (high - low) * at
        at = (at + 0.6180339887498949) % 1.0


def _apportion(weights: dict[str, float], count: int) -> dict[str, int]:
    """Divide `count` by weights: one for each weight above zero, the heaviest first, the rest by largest remainders."""
    heaviest = sorted((name for name in weights if weights[name] > 0), key=lambda name: -weights[name])
    shares = {name: int(name in heaviest[:count]) for name in weights}
    rest = count - sum(shares.values())
    total = sum(weights.values())
    exact = {name: rest * weight / total for name, weight in weights.items()}
    whole = {name: int(value) for name, value in exact.items()}
    by_remainder = sorted(exact, key=lambda name: exact[name] - whole[name], reverse=True)
    extra = set(by_remainder[: rest - sum(whole.values())])
    return {name: shares[name] + whole[name] + (name in extra) for name in weights}
