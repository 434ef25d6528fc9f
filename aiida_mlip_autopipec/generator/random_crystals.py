"""Random crystals with the symmetry of a random space group.

After Pickard and Needs, J. Phys. Condens. Matter 23, 053201 (2011), and, for all stoichiometries of several elements, Poul et
al., Phys. Rev. B 107, 104103 (2023): most natural crystals are symmetric, but few randomly filled cells are. A few atoms get
random coordinates, many of them special values such as 0 or 1/2, and the operations of the space group generate the equivalent
atoms. No table of Wyckoff positions is needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii
from ase.geometry import cellpar_to_cell

from ..dataset.apportion import round_to_sum
from .compositions import compositions
from .crystals import close_packed_volume
from .distances import image_shifts, keeps_distance

_SPECIAL_COORDINATES = np.array((0.0, 0.25, 1 / 3, 0.5, 2 / 3, 0.75))
"""Fractional coordinates of symmetry axes and planes."""

_SPECIAL_FRACTION = 0.6
"""Probability that a coordinate is special."""

_MAX_SITES = 3
"""Largest number of orbits of a random crystal without a given formula."""

_MISSES = 6
"""Number of consecutive sites that do not fit into a formula, after which another space group is tried."""

_VOLUME_RANGE = (1.0, 1.6)
"""Range of the volume per atom relative to close packing."""

_MIN_DISTANCE = 0.75
"""Shortest distance relative to the sum of covalent radii."""

_ATTEMPTS = 5000
"""Maximum number of attempts to make a structure without atoms that are too close."""

_N_GROUPS, _N_SETTINGS = 230, 530
"""Numbers of space groups, and of their settings in spglib (Hall numbers)."""

_PRIMITIVE = {
    "P": np.eye(3),
    "A": ((1, 0, 0), (0, 0.5, -0.5), (0, 0.5, 0.5)),
    "C": ((0.5, -0.5, 0), (0.5, 0.5, 0), (0, 0, 1)),
    "I": ((-0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0.5, 0.5, -0.5)),
    "F": ((0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0)),
    "R": ((2 / 3, 1 / 3, 1 / 3), (-1 / 3, 1 / 3, 1 / 3), (-1 / 3, -2 / 3, 1 / 3)),
}
"""Primitive vectors by the letter of the lattice."""


def random_crystal(elements: Sequence[str], max_atoms: int, random: np.random.Generator) -> Atoms:
    """Return the primitive cell of a random crystal with at most `max_atoms` atoms.

    :raises ValueError: if no attempt succeeds.
    """
    for _ in range(_ATTEMPTS):
        group = int(random.integers(1, _N_GROUPS, endpoint=True))
        orbits = [
            _orbit(group, _random_site(random)) for _ in range(int(random.integers(1, _MAX_SITES, endpoint=True)))
        ]
        if sum(map(len, orbits)) > max_atoms:
            continue
        symbols = [str(symbol) for symbol in random.choice(elements, len(orbits))]
        if (crystal := _filled(group, orbits, symbols, random)) is not None:
            return crystal
    raise ValueError(f"none of {_ATTEMPTS} random crystals has at most {max_atoms} atoms without overlap")


def random_compound(formula: Mapping[str, int], random: np.random.Generator) -> Atoms:
    """Return the primitive cell of a random crystal with given numbers of atoms.

    Sites that fit into the rest of the formula, and are far enough from the other atoms, get one of its elements, until
    the formula is complete.

    :raises ValueError: if no attempt succeeds.
    """
    names = [symbol for symbol, number in formula.items() for _ in range(number)]
    for _ in range(_ATTEMPTS):
        group = int(random.integers(1, _N_GROUPS, endpoint=True))
        sites = _Sites(_random_cell(group, names, random), names)
        left, misses = dict(formula), 0
        while misses < _MISSES:
            orbit = _orbit(group, _random_site(random))
            fitting = [symbol for symbol, number in left.items() if len(orbit) <= number]
            misses += 1
            if not fitting:
                continue
            symbol = str(random.choice(fitting))
            if sites.add(symbol, orbit):
                left[symbol] -= len(orbit)
                misses = 0
            if not any(left.values()):
                return sites.atoms()
    raise ValueError(f"none of {_ATTEMPTS} random crystals of {dict(formula)} is without overlap")


class _Sites:
    """Atoms in a cell, to which equivalent atoms are added as long as none are too close.

    Unlike :func:`~.distances.distances_at_least`, only the distances of one atom of each orbit are checked: by symmetry, those
    of the others are the same.

    :param cell: primitive vectors (3, 3) in Å.
    :param symbols: the elements that may be added.
    """

    def __init__(self, cell: np.ndarray, symbols: Sequence[str]) -> None:
        self._cell, self._symbols = cell, list[str]()
        self._places, self._radii = np.empty((0, 3)), np.empty(0)
        self._shifts = image_shifts(cell, np.linalg.inv(cell), 2 * max(map(_radius, symbols)))
        self._own = float(np.square(self._shifts[1:]).sum(axis=1).min(initial=np.inf))

    def add(self, symbol: str, orbit: np.ndarray) -> bool:
        """Add equivalent atoms (n, 3), in units of the cell vectors, if they keep their distance; tell whether they do."""
        radius = _radius(symbol)
        places = np.concatenate([orbit, self._places])
        radii = np.concatenate([np.full(len(orbit), radius), self._radii])
        # The surroundings of equivalent atoms are equal, so that those of the first one are enough.
        vectors = places[1:] - places[0]
        vectors -= np.rint(vectors)
        squares = np.square((vectors @ self._cell)[:, None] + self._shifts).sum(axis=2).min(axis=1)
        if self._own < (2 * radius) ** 2 or (squares < (radii[1:] + radius) ** 2).any():
            return False
        self._places, self._radii = places, radii
        self._symbols = [symbol] * len(orbit) + self._symbols
        return True

    def atoms(self) -> Atoms:
        """Return the crystal."""
        return Atoms(self._symbols, positions=self._places @ self._cell, cell=self._cell, pbc=True)


@lru_cache
def _radius(symbol: str) -> float:
    """Return half the shortest distance (Å) between two atoms of an element."""
    return float(_MIN_DISTANCE * covalent_radii[atomic_numbers[symbol]])


def formulas(elements: Sequence[str], n_atoms: int) -> list[dict[str, int]]:
    """Return different formulas of `n_atoms` atoms at compositions spread over all mixtures of several elements."""
    found: list[dict[str, int]] = []
    for composition in compositions(elements):
        numbers = round_to_sum([share * n_atoms for share in composition.values()], n_atoms)
        formula = {symbol: number for symbol, number in sorted(zip(composition, numbers, strict=True)) if number}
        if formula not in found:
            found.append(formula)
    return found


def _random_site(random: np.random.Generator) -> np.ndarray:
    numbers = random.random((3, 3))
    special = _SPECIAL_COORDINATES[(numbers[1] * len(_SPECIAL_COORDINATES)).astype(int)]
    site: np.ndarray = np.where(numbers[0] < _SPECIAL_FRACTION, special, numbers[2])
    return site


@lru_cache(maxsize=1)
def _hall_numbers() -> dict[int, int]:
    """Return the number of the first setting of each space group in spglib: hexagonal axes, unique axis b."""
    import spglib

    found: dict[int, int] = {}
    for number in range(1, _N_SETTINGS + 1):
        setting = spglib.get_spacegroup_type(number)
        assert setting is not None
        found.setdefault(setting.number, number)
    return found


@lru_cache(maxsize=_N_GROUPS)
def _operations(group: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rotations (n, 3, 3) and translations (n, 3) of a space group, and its primitive vectors (3, 3) in its cell."""
    import spglib

    number = _hall_numbers()[group]
    operations, setting = spglib.get_symmetry_from_database(number), spglib.get_spacegroup_type(number)
    assert operations is not None and setting is not None
    primitive = np.array(_PRIMITIVE[setting.international_short[0]], dtype=float)
    return operations["rotations"], operations["translations"], primitive


@lru_cache(maxsize=_N_GROUPS)
def _in_primitive_cell(group: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the operations (n, 3, 3) and (n, 3) from a position in the cell of a group to positions in its primitive cell."""
    rotations, translations, primitive = _operations(group)
    to_primitive = np.linalg.inv(primitive)
    return np.einsum("nij,ik->nkj", rotations, to_primitive), translations @ to_primitive


def _orbit(group: int, site: np.ndarray) -> np.ndarray:
    """Return the equivalent positions (n, 3) of a site in the primitive cell, in units of its vectors."""
    rotations, translations = _in_primitive_cell(group)
    images = (rotations @ site + translations) % 1.0
    # Positions that agree to three digits are one; a whole number as key is found faster than a row.
    keys = np.rint(images * 1000).astype(int) % 1000 @ (1_000_000, 1000, 1)
    return np.asarray(images[np.sort(np.unique(keys, return_index=True)[1])])


def _filled(
    group: int, orbits: Sequence[np.ndarray], symbols: Sequence[str], random: np.random.Generator
) -> Atoms | None:
    """Return a crystal of the orbits in a random cell that the group allows, or None if atoms are too close."""
    names = [symbol for symbol, orbit in zip(symbols, orbits, strict=True) for _ in orbit]
    vectors = _random_cell(group, names, random)
    crystal = Atoms(names, scaled_positions=np.concatenate(orbits), cell=vectors, pbc=True)
    return crystal if keeps_distance(crystal, _MIN_DISTANCE) else None


def _random_cell(group: int, symbols: Sequence[str], random: np.random.Generator) -> np.ndarray:
    """Return primitive vectors (3, 3) in Å that a space group allows, at a random volume for some atoms."""
    vectors = _operations(group)[2] @ cellpar_to_cell(_lattice_parameters(group, random))
    volume = sum(close_packed_volume(symbol) for symbol in symbols) * random.uniform(*_VOLUME_RANGE)
    return np.asarray(vectors * (volume / abs(np.linalg.det(vectors))) ** (1 / 3))


def _lattice_parameters(group: int, random: np.random.Generator) -> list[float]:
    """Return random lattice parameters that a space group allows: a, b, c, alpha, beta, gamma (lengths of about 1, degrees)."""
    a, b, c = np.exp(random.uniform(-0.4, 0.4, 3))
    alpha, beta, gamma = random.uniform(65.0, 115.0, 3)
    if group <= 2:
        return [a, b, c, alpha, beta, gamma]
    if group <= 15:
        return [a, b, c, 90.0, beta, 90.0]
    if group <= 74:
        return [a, b, c, 90.0, 90.0, 90.0]
    if group <= 142:
        return [a, a, c, 90.0, 90.0, 90.0]
    if group <= 194:
        return [a, a, c, 90.0, 90.0, 120.0]
    return [a, a, a, 90.0, 90.0, 90.0]
