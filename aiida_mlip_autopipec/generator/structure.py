"""Generator of the structures to label, from free atoms to strongly displaced crystals. Pure ASE."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations_with_replacement, count, cycle

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii

from ..config.schemas.generator import GeneratorConfig
from .crystals import Crystal, alloy_crystals, at_volume, elemental_crystals, height, ordered_crystals, supercell
from .distances import distances_at_least

VACUUM = 7.0
"""Space (Å) around a cluster on every side of its box."""

MAX_DIMER_DISTANCE = 6.5
"""Longest distance (Å) in a dimer, beyond the usual cutoffs."""

MIN_SLAB_THICKNESS = 5.0
"""Minimum thickness (Å) of a slab, if `max_atoms` allows it."""

SLAB_VACUUM_RANGE = (8.0, 12.0)
"""Range of the vacuum (Å) between slabs, beyond the usual cutoffs."""

CLUSTER_SIZES = (4, 32)
"""Minimum and maximum number of atoms of a cluster. Measured on copper: without clusters of more than 13 atoms, the force
errors in clusters of 13 to 55 atoms are three times as large."""

_ATTEMPTS = 200


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
        elements also give ordered compounds and random alloys. ``atoms.info["family"]`` is the kind; atoms are sorted by
        species.

        A larger count gives the same structures and more, since each kind has its own random numbers.

        :raises ValueError: for an unknown or repeated element, a count not larger than the number of elements, or settings
            under which no structure keeps the shortest allowed distance.
        """
        self.check(elements, count)
        structures = [_in_box(Atoms(element), "isolated_atom") for element in sorted(elements)]
        shares = _apportion(self.config.weights.model_dump(), count - len(structures))
        makers = self._makers(sorted(elements))
        for family, share in shares.items():
            structures += [self._valid(makers[family], family) for _ in range(share)]
        return structures

    def generate_pool(self, elements: Sequence[str], count: int, times: int, block: int) -> list[Atoms]:
        """Return a pool from which to select `count` structures.

        It is `times` as large, with no additional free atoms and dimers. ``atoms.info["block"]`` is the number of the block;
        `block` structures are to be selected from each. A larger count only adds blocks, and each block has all kinds in the
        proportions of the weights.

        :raises ValueError: as in :meth:`generate`.
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
        """Check elements and count.

        :raises ValueError: for an unknown or repeated element, or a count not larger than the number of elements.
        """
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
        """Return for each family a function that returns its next structure."""
        seed = [self.config.seed, *(atomic_numbers[element] for element in elements)]
        crystals = self._crystals(elements, np.random.default_rng(seed))
        pairs = cycle(combinations_with_replacement(elements, 2))
        triples = cycle(combinations_with_replacement(elements, 3))
        steps = _van_der_corput(len(elements) * (len(elements) + 1) // 2)

        def of_crystals(make: Callable[[Crystal, np.random.Generator], Atoms], number: int) -> Callable[[], Atoms]:
            source, random = _alternating(crystals, len(elements)), np.random.default_rng([*seed, number])
            return lambda: make(next(source), random)

        random = np.random.default_rng([*seed, 0])
        volumes = _golden_ratio_sequence(np.random.default_rng([*seed, 1]), *self.config.volume_range)
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
        """Return groups of crystals: one for each element, with its reference crystal first, compounds, alloys."""
        groups = [elemental_crystals(element, self.config.prototypes) for element in elements]
        if len(elements) > 1:
            groups.append(ordered_crystals(elements))
            alloys = alloy_crystals(elements, self.config.prototypes, self._size(16), random)
            # Of many elements, mixtures are most of what a potential must know.
            parts = len(elements) - 1
            groups += [alloys[number::parts] for number in range(parts) if alloys[number::parts]]
        return groups

    def _size(self, wanted: int) -> int:
        return min(wanted, self.config.max_atoms)

    def _dimer(self, pair: Sequence[str], step: float) -> Atoms:
        """Return a dimer with `step` from 0 (shortest distance) to 1 (longest); short distances are sampled more densely."""
        shortest = self.config.min_distance_fraction * _radii_sum(*pair) * 1.001
        distance = shortest + (max(MAX_DIMER_DISTANCE, 1.5 * shortest) - shortest) * step**1.5
        return _in_box(Atoms(list(pair), positions=[[0, 0, 0], [0, 0, distance]]), "dimer")

    def _trimer(self, triple: Sequence[str], random: np.random.Generator) -> Atoms:
        bonds = [_radii_sum(triple[0], other) * random.uniform(0.75, 1.8) for other in triple[1:]]
        angle = random.uniform(np.pi / 4, np.pi)
        positions = [[0, 0, 0], [bonds[0], 0, 0], [bonds[1] * np.cos(angle), bonds[1] * np.sin(angle), 0]]
        return _in_box(Atoms(list(triple), positions=positions), "trimer")

    def _crystal(self, crystal: Crystal, volume: float) -> Atoms:
        return _as_crystal(at_volume(crystal.cell, volume), crystal, "crystal")

    def _strained(self, crystal: Crystal, random: np.random.Generator) -> Atoms:
        cell = at_volume(crystal.cell, random.uniform(0.92, 1.12))
        strain = random.uniform(-self.config.max_strain, self.config.max_strain, (3, 3))
        cell.set_cell(cell.cell.array @ (np.eye(3) + (strain + strain.T) / 2), scale_atoms=True)
        return _as_crystal(cell, crystal, "strained")

    def _rattled(self, crystal: Crystal, random: np.random.Generator) -> Atoms:
        low, high = self.config.volume_range
        cell = supercell(crystal.cell, self._size(int(random.choice([4, 8, 16, 32]))))
        cell = at_volume(cell, float(np.clip(random.normal(1.0, 0.12), low, high)))
        amplitude = np.exp(random.uniform(np.log(0.01), np.log(self.config.max_rattle * 0.6)))
        return _as_crystal(_rattled_atoms(cell, amplitude * crystal.neighbour_distance, random), crystal, "rattled")

    def _vacancy(self, crystal: Crystal, random: np.random.Generator) -> Atoms:
        cell = supercell(crystal.cell, self._size(int(random.choice([8, 16, 32]))))
        cell = at_volume(cell, random.uniform(0.9, 1.1))
        if len(cell) > 1:
            del cell[int(random.integers(len(cell)))]
        amplitude = random.uniform(0.005, 0.05)
        return _as_crystal(_rattled_atoms(cell, amplitude * crystal.neighbour_distance, random), crystal, "vacancy")

    def _hot(self, crystal: Crystal, random: np.random.Generator) -> Atoms:
        cell = supercell(crystal.cell, self._size(int(random.choice([16, 32]))))
        cell = at_volume(cell, random.uniform(0.9, 1.3))
        amplitude = random.uniform(0.6, 1.0) * self.config.max_rattle
        return _as_crystal(_rattled_atoms(cell, amplitude * crystal.neighbour_distance, random), crystal, "hot")

    def _surface(self, crystal: Crystal, random: np.random.Generator) -> Atoms:
        """Return a slab parallel to a face of the cell."""
        axis = int(random.integers(3))
        cell = at_volume(crystal.cell, random.uniform(0.9, 1.1))
        thick = MIN_SLAB_THICKNESS * random.uniform(1.0, 1.8)
        layers = max(1, math.ceil(thick / height(cell, axis)))
        repeat = [1, 1, 1]
        repeat[axis] = max(1, min(layers, self.config.max_atoms // len(cell)))
        slab = _rattled_atoms(cell.repeat(repeat), random.uniform(0.005, 0.08) * crystal.neighbour_distance, random)
        vacuum = random.uniform(*SLAB_VACUUM_RANGE)
        vectors = slab.cell.array
        vectors[axis] *= 1.0 + vacuum / height(slab, axis)
        slab.set_cell(vectors, scale_atoms=False)
        return _as_crystal(slab, crystal, "surface")

    def _cluster(self, crystal: Crystal, random: np.random.Generator) -> Atoms:
        """Return the atoms of a crystal that are nearest to a random point."""
        size = self._size(int(random.integers(*CLUSTER_SIZES, endpoint=True)))
        spacing = crystal.neighbour_distance * random.uniform(0.94, 1.06)
        cell = at_volume(crystal.cell, (spacing / crystal.neighbour_distance) ** 3)
        repeat = [2 * math.ceil(3.0 * spacing / height(cell, axis)) for axis in range(3)]
        large = cell.repeat(repeat)
        centre = large.cell.array.sum(axis=0) / 2 + random.normal(0.0, 0.5 * spacing, 3)
        nearest = np.argsort(np.linalg.norm(large.positions - centre, axis=1), kind="stable")[:size]
        cluster = Atoms(large.numbers[nearest], positions=large.positions[nearest])
        amplitude = random.uniform(0.01, 0.5 * self.config.max_rattle)
        return _in_box(_rattled_atoms(cluster, amplitude * spacing, random), f"{crystal.name}_cluster")

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
    """Return whether all distances are at least a fraction of the sum of the covalent radii."""
    return distances_at_least(atoms, fraction * covalent_radii[atoms.numbers])


def _radii_sum(first: str, second: str) -> float:
    return float(covalent_radii[atomic_numbers[first]] + covalent_radii[atomic_numbers[second]])


def _in_box(cluster: Atoms, family: str) -> Atoms:
    """Center a cluster in a non-periodic box with vacuum around it."""
    cluster.center(vacuum=VACUUM)
    cluster.pbc = False
    cluster.info = {"family": family}
    return cluster


def _as_crystal(cell: Atoms, crystal: Crystal, kind: str) -> Atoms:
    cell.pbc = True
    cell.info = {"family": f"{crystal.name}_{kind}"}
    return cell


def _rattled_atoms(cell: Atoms, amplitude: float, random: np.random.Generator) -> Atoms:
    cell.positions += random.normal(0.0, amplitude, cell.positions.shape)
    return cell


def _alternating(groups: Sequence[Sequence[Crystal]], n_elements: int) -> Iterator[Crystal]:
    """Yield crystals without end: the groups in turn, in the group of an element every second time the first crystal."""
    others = [cycle((group[1:] if number < n_elements else group) or group) for number, group in enumerate(groups)]
    for turn in cycle((0, 1)):
        for number, group in enumerate(groups):
            yield group[0] if turn == 0 and number < n_elements else next(others[number])


def _van_der_corput(repeat: int) -> Iterator[float]:
    """Yield numbers that fill [0, 1) evenly after any number of terms, each `repeat` times.

    The van der Corput sequence (1935): 0, 1/2, 1/4, 3/4, 1/8, ...
    """
    for number in count():
        digits = f"{number:b}"[::-1]
        for _ in range(repeat):
            yield int(digits, 2) / 2 ** len(digits)


def _golden_ratio_sequence(random: np.random.Generator, low: float, high: float) -> Iterator[float]:
    """Yield numbers that fill an interval evenly after any number of terms (additive recurrence, golden ratio)."""
    at = random.uniform()
    while True:
        yield low + (high - low) * at
        at = (at + 0.6180339887498949) % 1.0


def _apportion(weights: dict[str, float], count: int) -> dict[str, int]:
    """Apportion `count` by weights: 1 to each weight above zero, the heaviest first, the rest by largest remainders."""
    heaviest = sorted((name for name in weights if weights[name] > 0), key=lambda name: -weights[name])
    shares = {name: int(name in heaviest[:count]) for name in weights}
    rest = count - sum(shares.values())
    total = sum(weights.values())
    exact = {name: rest * weight / total for name, weight in weights.items()}
    whole = {name: int(value) for name, value in exact.items()}
    by_remainder = sorted(exact, key=lambda name: exact[name] - whole[name], reverse=True)
    extra = set(by_remainder[: rest - sum(whole.values())])
    return {name: shares[name] + whole[name] + (name in extra) for name in weights}
