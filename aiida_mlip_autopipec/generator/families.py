"""The kinds (families) of structures that the generator makes of elements: how a structure of each kind is built."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, combinations_with_replacement, count, cycle

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii

from ..config.schemas.generator import GeneratorConfig
from ..dataset.apportion import round_to_sum
from ..dataset.dimension import BOX_MARGIN
from .crystals import (
    Crystal,
    alloy_crystals,
    at_volume,
    dilute_crystals,
    elemental_crystals,
    height,
    ordered_crystals,
    supercell,
)
from .distances import push_apart
from .random_crystals import formulas, random_compound

MAX_DIMER_DISTANCE = 6.5
"""Longest distance (Å) in a dimer, beyond the usual cutoffs."""

MIN_SLAB_THICKNESS = 5.0
"""Minimum thickness (Å) of a slab, if `max_atoms` allows it."""

SLAB_VACUUM_RANGE = (8.0, 12.0)
"""Range of the vacuum (Å) between slabs, beyond the usual cutoffs."""

SMALLEST_CLUSTER, LARGEST_CLUSTER = 4, 32
"""Minimum and maximum number of atoms of a cluster of one element. Measured on copper: without clusters of more than 13 atoms,
the force errors in clusters of 13 to 55 atoms are three times as large."""

MIXED_SIZES = {2: (16, 32)}
"""Numbers of atoms of the supercells and clusters of several elements; 16 with more than two elements.

Few sizes give few formulas: a trajectory node holds structures of one formula."""

RANDOM_ATOMS = 8
"""Number of atoms of random symmetric crystals, before they are doubled."""

RANDOM_VARIANTS = 4
"""Number of structures made from each random crystal. The search for the crystal takes much longer than making a structure."""

CLOSEST_HOT = (0.7, 0.85)
"""Range of the shortest distance in hot structures, relative to the sum of the covalent radii; that of liquid copper at
2,500 K is 0.75. Independent displacements of this size bring atoms much closer, with energies of several eV/atom, which
dominate the fit (compare the Monte Carlo rattle of Fransson and Erhart, Acta Mater. 196, 770, 2020)."""


class Families:
    """Makes structures of the elements, kind by kind; each kind has its own random numbers.

    :param elements: sorted.
    """

    def __init__(self, config: GeneratorConfig, elements: Sequence[str]) -> None:
        self.config, self._elements = config, elements
        self._seed = [config.seed, *(atomic_numbers[element] for element in elements)]

    def makers(self) -> dict[str, Callable[[], Atoms]]:
        """Return for each kind a function that returns its next structure, which may have too short distances."""
        elements, seed = self._elements, self._seed
        crystals = self._crystals(np.random.default_rng(seed))
        simple = crystals if len(elements) <= 3 else _elements_and_full_mixtures(crystals, len(elements))
        pairs = cycle(combinations_with_replacement(elements, 2))
        # Many elements have many triples; each pair of elements is in several of those of three different elements.
        triples = cycle((combinations_with_replacement if len(elements) <= 3 else combinations)(elements, 3))
        steps = _van_der_corput(len(elements) * (len(elements) + 1) // 2)

        def of_crystals(
            make: Callable[[Crystal, np.random.Generator], Atoms],
            number: int,
            groups: Sequence[Sequence[Crystal]] = crystals,
        ) -> Callable[[], Atoms]:
            source, random = _alternating(groups, len(elements)), np.random.default_rng([*seed, number])
            return lambda: make(next(source), random)

        random = np.random.default_rng([*seed, 0])
        volumes = _golden_ratio_sequence(np.random.default_rng([*seed, 1]), *self.config.volume_range)
        random_crystals = self._random_crystals(np.random.default_rng([*seed, 9]))
        return {
            "dimer": lambda: self._dimer(next(pairs), next(steps)),
            "trimer": lambda: self._trimer(next(triples), random),
            "crystal": of_crystals(lambda crystal, _: self._crystal(crystal, next(volumes)), 2),
            "strained": of_crystals(self._strained, 3),
            "rattled": of_crystals(self._rattled, 4),
            "vacancy": of_crystals(self._vacancy, 5, simple),
            "hot": of_crystals(self._hot, 6),
            "surface": of_crystals(self._surface, 7),
            "cluster": of_crystals(self._cluster, 8, simple),
            "random": lambda: next(random_crystals),
        }

    def _crystals(self, random: np.random.Generator) -> list[list[Crystal]]:
        """Return groups of crystals: one for each element, its reference crystal first; compounds; dilute alloys; alloys."""
        elements = self._elements
        groups = [elemental_crystals(element, self.config.prototypes) for element in elements]
        if len(elements) > 1:
            groups += [ordered_crystals(elements), dilute_crystals(elements, self._size(16))]
            alloys = alloy_crystals(elements, self.config.prototypes, self._size(16), random)
            # With many elements, most environments are those of mixtures.
            parts = len(elements) - 1
            groups += [alloys[number::parts] for number in range(parts) if alloys[number::parts]]
        if len(elements) > 2:
            groups = [[self._in_few_sizes(crystal) for crystal in group] for group in groups]
        return groups

    def _in_few_sizes(self, crystal: Crystal) -> Crystal:
        """Return a crystal in a cell of 2 atoms if it has one element, else of 16."""
        pure = len(set(crystal.atoms.symbols)) == 1
        return Crystal(crystal.name, supercell(crystal.atoms, 2 if pure else self._size(16)))

    def _size(self, wanted: int) -> int:
        return min(wanted, self.config.max_atoms)

    def _supercell(self, crystal: Crystal, sizes: Sequence[int], random: np.random.Generator) -> Atoms:
        """Return a supercell of a random size: one of the sizes for one element, else one of :data:`MIXED_SIZES`."""
        if len(self._elements) > 1:
            sizes = self._mixed_sizes
        return supercell(crystal.atoms, self._size(int(random.choice(sizes))))

    @property
    def _mixed_sizes(self) -> tuple[int, ...]:
        return MIXED_SIZES.get(len(self._elements), (16,))

    def _dimer(self, pair: Sequence[str], step: float) -> Atoms:
        """Return a dimer with `step` from 0 (shortest distance) to 1 (longest); short distances are sampled more densely."""
        shortest = self.config.min_distance_fraction * _radii_sum(*pair) * 1.001
        distance = shortest + (max(MAX_DIMER_DISTANCE, 1.5 * shortest) - shortest) * step**1.5
        return in_box(Atoms(list(pair), positions=[[0, 0, 0], [0, 0, distance]]), "dimer")

    def _trimer(self, triple: Sequence[str], random: np.random.Generator) -> Atoms:
        bonds = [_radii_sum(triple[0], other) * random.uniform(0.75, 1.8) for other in triple[1:]]
        angle = random.uniform(np.pi / 4, np.pi)
        positions = [[0, 0, 0], [bonds[0], 0, 0], [bonds[1] * np.cos(angle), bonds[1] * np.sin(angle), 0]]
        return in_box(Atoms(list(triple), positions=positions), "trimer")

    def _crystal(self, crystal: Crystal, volume: float) -> Atoms:
        return _as_crystal(at_volume(crystal.atoms, volume), crystal, "crystal")

    def _strained(self, crystal: Crystal, random: np.random.Generator) -> Atoms:
        atoms = at_volume(crystal.atoms, random.uniform(0.92, 1.12))
        strain = random.uniform(-self.config.max_strain, self.config.max_strain, (3, 3))
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + (strain + strain.T) / 2), scale_atoms=True)
        return _as_crystal(atoms, crystal, "strained")

    def _rattled(self, crystal: Crystal, random: np.random.Generator) -> Atoms:
        low, high = self.config.volume_range
        atoms = self._supercell(crystal, [4, 8, 16, 32], random)
        atoms = at_volume(atoms, float(np.clip(random.normal(1.0, 0.12), low, high)))
        amplitude = np.exp(random.uniform(np.log(0.01), np.log(self.config.max_rattle * 0.6)))
        return _as_crystal(_rattled_atoms(atoms, amplitude * crystal.close_packed_distance, random), crystal, "rattled")

    def _vacancy(self, crystal: Crystal, random: np.random.Generator) -> Atoms:
        atoms = self._supercell(crystal, [8, 16, 32], random)
        atoms = at_volume(atoms, random.uniform(0.9, 1.1))
        if len(atoms) > 1:
            del atoms[int(random.integers(len(atoms)))]
        amplitude = random.uniform(0.005, 0.05)
        return _as_crystal(_rattled_atoms(atoms, amplitude * crystal.close_packed_distance, random), crystal, "vacancy")

    def _hot(self, crystal: Crystal, random: np.random.Generator) -> Atoms:
        atoms = self._supercell(crystal, [16, 32], random)
        atoms = at_volume(atoms, random.uniform(0.9, 1.3))
        amplitude = random.uniform(0.6, 1.0) * self.config.max_rattle
        _rattled_atoms(atoms, amplitude * crystal.close_packed_distance, random)
        push_apart(atoms, random.uniform(*CLOSEST_HOT) * covalent_radii[atoms.numbers])
        return _as_crystal(atoms, crystal, "hot")

    def _surface(self, crystal: Crystal, random: np.random.Generator) -> Atoms:
        """Return a slab parallel to a face of the cell."""
        axis = int(random.integers(3))
        atoms = at_volume(crystal.atoms, random.uniform(0.9, 1.1))
        thick = MIN_SLAB_THICKNESS * random.uniform(1.0, 1.8)
        slab = self._thick_slab(atoms, axis, thick) if len(self._elements) == 1 else self._mixed_slab(atoms, axis)
        _rattled_atoms(slab, random.uniform(0.005, 0.08) * crystal.close_packed_distance, random)
        vacuum = random.uniform(*SLAB_VACUUM_RANGE)
        vectors = slab.cell.array
        vectors[axis] *= 1.0 + vacuum / height(slab, axis)
        slab.set_cell(vectors, scale_atoms=False)
        return _as_crystal(slab, crystal, "surface")

    def _thick_slab(self, atoms: Atoms, axis: int, thickness: float) -> Atoms:
        """Repeat a crystal along an axis up to a thickness (Å), if `max_atoms` allows it."""
        repeat = [1, 1, 1]
        repeat[axis] = max(1, min(math.ceil(thickness / height(atoms, axis)), self.config.max_atoms // len(atoms)))
        return atoms.repeat(repeat)

    def _mixed_slab(self, atoms: Atoms, axis: int) -> Atoms:
        """Double a crystal along an axis up to the smallest thickness, then along the others up to 16 atoms."""
        along = np.arange(3) == axis
        largest = self._size(max(self._mixed_sizes))
        while height(atoms, axis) < MIN_SLAB_THICKNESS and 2 * len(atoms) <= largest:
            atoms = atoms.repeat(np.where(along, 2, 1).tolist())
        return supercell(atoms, self._size(16), along=~along)

    def _cluster(self, crystal: Crystal, random: np.random.Generator) -> Atoms:
        """Return the atoms of a crystal that are nearest to a random point, with the composition of the crystal."""
        if len(self._elements) == 1:
            size = self._size(int(random.integers(SMALLEST_CLUSTER, LARGEST_CLUSTER, endpoint=True)))
        else:
            size = self._size(int(random.choice(self._mixed_sizes)))
        spacing = crystal.close_packed_distance * random.uniform(0.94, 1.06)
        atoms = at_volume(crystal.atoms, (spacing / crystal.close_packed_distance) ** 3)
        repeat = [2 * math.ceil(3.0 * spacing / height(atoms, axis)) for axis in range(3)]
        large = atoms.repeat(repeat)
        centre = large.cell.array.sum(axis=0) / 2 + random.normal(0.0, 0.5 * spacing, 3)
        nearest = np.argsort(np.linalg.norm(large.positions - centre, axis=1), kind="stable")[:size]
        numbers = _with_composition(large.numbers[nearest], crystal.atoms.numbers, random)
        cluster = Atoms(numbers, positions=large.positions[nearest])
        amplitude = random.uniform(0.01, 0.5 * self.config.max_rattle)
        return in_box(_rattled_atoms(cluster, amplitude * spacing, random), f"{crystal.name}_cluster")

    def _random_crystals(self, random: np.random.Generator) -> Iterator[Atoms]:
        """Yield random symmetric crystals of all compositions in turn, each at several volumes, all but the first rattled."""
        found = formulas(self._elements, self._size(RANDOM_ATOMS)) if len(self._elements) > 1 else []
        for formula in cycle(found):
            # Cells of 16 atoms have the formulas of the other kinds.
            crystal = Crystal("random", supercell(random_compound(formula, random), self._size(16)))
            for number in range(RANDOM_VARIANTS):
                atoms = at_volume(crystal.atoms, random.uniform(0.85, 1.2))
                amplitude = random.uniform(0.01, 0.5 * self.config.max_rattle) * (number > 0)
                yield _as_crystal(
                    _rattled_atoms(atoms, amplitude * crystal.close_packed_distance, random), crystal, "crystal"
                )


def _with_composition(numbers: np.ndarray, crystal: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return atomic numbers (n,) in which as few as possible are changed, so that their shares are those of a crystal (m,)."""
    kinds, counts = np.unique(crystal, return_counts=True)
    wanted = np.array(round_to_sum((len(numbers) * counts / counts.sum()).tolist(), len(numbers)))
    excess = []
    for kind, most in zip(kinds, wanted, strict=True):
        excess.append(np.flatnonzero(numbers == kind)[most:])
    changed = numbers.copy()
    missing = np.repeat(kinds, np.maximum(0, wanted - [np.sum(numbers == kind) for kind in kinds]))
    changed[np.concatenate(excess)] = random.permutation(missing)
    return changed


def _elements_and_full_mixtures(groups: Sequence[Sequence[Crystal]], n_elements: int) -> list[list[Crystal]]:
    """Return the groups with crystals of one and of all elements, without the other crystals."""
    chosen = [[crystal for crystal in group if len(set(crystal.atoms.symbols)) in (1, n_elements)] for group in groups]
    return [group for group in chosen if group]


def _radii_sum(first: str, second: str) -> float:
    return float(covalent_radii[atomic_numbers[first]] + covalent_radii[atomic_numbers[second]])


def in_box(cluster: Atoms, family: str) -> Atoms:
    """Center a cluster in a box that is not periodic, and set its family, in place; return it."""
    cluster.center(vacuum=BOX_MARGIN)
    cluster.pbc = False
    cluster.info = {"family": family}
    return cluster


def _as_crystal(atoms: Atoms, crystal: Crystal, kind: str) -> Atoms:
    atoms.pbc = True
    atoms.info = {"family": f"{crystal.name}_{kind}"}
    return atoms


def _rattled_atoms(atoms: Atoms, amplitude: float, random: np.random.Generator) -> Atoms:
    """Displace atoms in place, with a standard deviation (Å) along each axis; return them."""
    atoms.positions += random.normal(0.0, amplitude, atoms.positions.shape)
    return atoms


def _alternating(groups: Sequence[Sequence[Crystal]], n_elements: int) -> Iterator[Crystal]:
    """Yield crystals endlessly, one of each group in turn; of the group of an element, the first crystal every second time."""
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
