"""Perfect crystals of one or more elements, at an estimated equilibrium volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.data import atomic_numbers, covalent_radii
from ase.neighborlist import neighbor_list

from .compositions import compositions, dilute_compositions
from .distances import close_packed_distance
from .quasirandom import QuasirandomLattice

RELATIVE_VOLUME = {"fcc": 1.0, "hcp": 1.0, "bcc": 1.0, "sc": 1.14, "diamond": 1.48}
"""Typical volume per atom of elemental prototypes, relative to close packing: open structures have shorter bonds but larger
volumes."""

LATTICES = ("fcc", "bcc", "hcp")
"""Lattices of random and dilute alloys."""

ORDERED = {"b1": "rocksalt", "b2": "cesiumchloride", "b3": "zincblende"}
"""Crystal structures of ordered compounds of two elements, as ASE names them."""

_ORDERED_VOLUME = {"b1": 1.14, "b2": 1.0, "b3": 1.48, "l1_0": 1.0, "l1_2": 1.0}
"""Volume per atom of ordered compounds, relative to the mean of their elements in close packing."""


@dataclass(frozen=True)
class Crystal:
    """A crystal: its name and its structure at the estimated equilibrium volume."""

    name: str
    atoms: Atoms

    @property
    def close_packed_distance(self) -> float:
        """Nearest-neighbour distance (Å) of close packing at the volume per atom of this crystal."""
        return close_packed_distance(self.atoms)


def neighbour_distance(atoms: Atoms) -> float:
    """Return the shortest distance (Å) between two atoms, periodic images included; 6 if there is none below 6 Å."""
    return float(neighbor_list("d", atoms, 6.0).min(initial=6.0))


@lru_cache
def close_packed_volume(element: str) -> float:
    """Return the estimated volume per atom (Å^3) of an element in close packing.

    It is derived from the reference crystal if ASE can build it, else from the covalent radius.
    """
    try:
        reference = bulk(element)
    except (ValueError, RuntimeError, KeyError, NotImplementedError):
        return (2 * 1.05 * float(covalent_radii[atomic_numbers[element]])) ** 3 / 2**0.5
    return reference.get_volume() / len(reference) / RELATIVE_VOLUME.get(reference_prototype(element) or "", 1.2)


@lru_cache
def reference_prototype(element: str) -> str | None:
    """Return the name of the reference crystal of an element in ASE, or None if ASE cannot build it."""
    from ase.data import reference_states

    state = reference_states[atomic_numbers[element]]
    try:
        bulk(element)
    except (ValueError, RuntimeError, KeyError, NotImplementedError):
        return None
    return str(state["symmetry"])


def elemental_crystals(element: str, prototypes: Sequence[str]) -> list[Crystal]:
    """Return the reference crystal of an element, if ASE can build it, and the prototypes."""
    volume = close_packed_volume(element)
    reference = reference_prototype(element)
    crystals = []
    if reference is not None and reference not in RELATIVE_VOLUME:
        crystals.append(Crystal(reference, bulk(element)))
    names = [reference] if reference in RELATIVE_VOLUME else []
    names += [name for name in prototypes if name != reference]
    for name in names:
        atoms = bulk(element, name, a=1.0, **({"c": 1.633} if name == "hcp" else {}))
        crystals.append(Crystal(name, _scaled(atoms, volume * RELATIVE_VOLUME[name])))
    return crystals


def ordered_crystals(elements: Sequence[str]) -> list[Crystal]:
    """Return ordered compounds of every pair of elements: B1, B2, B3, L1_0 and both L1_2."""
    crystals = []
    for first, second in combinations(elements, 2):
        for name, structure in ORDERED.items():
            crystals.append(_compound(name, bulk(first + second, structure, a=5.0)))
        cubic = bulk("Cu", "fcc", a=4.0, cubic=True)
        for name, symbols in (
            ("l1_0", [first, first, second, second]),
            ("l1_2", [first, second, second, second]),
            ("l1_2", [second, first, first, first]),
        ):
            atoms = cubic.copy()
            atoms.symbols = symbols
            crystals.append(_compound(name, atoms))
    return crystals


def _compound(name: str, atoms: Atoms) -> Crystal:
    return Crystal(name, _at_mean_volume(atoms, _ORDERED_VOLUME[name]))


def alloy_crystals(
    elements: Sequence[str], prototypes: Sequence[str], n_atoms: int, random: np.random.Generator
) -> list[Crystal]:
    """Return quasi-random close-packed and bcc alloys at compositions spread over all mixtures of the elements."""
    lattices = [name for name in prototypes if name in LATTICES] or ["fcc"]
    quasirandom = {lattice: QuasirandomLattice(_lattice(lattice, n_atoms)) for lattice in lattices}
    crystals = []
    for composition in compositions(elements):
        for lattice, sites in quasirandom.items():
            atoms = sites.arrange(_symbols(composition, sites.n_sites), random)
            crystals.append(Crystal(f"{lattice}_alloy", _at_mean_volume(atoms)))
    return crystals


def dilute_crystals(elements: Sequence[str], n_atoms: int) -> list[Crystal]:
    """Return a crystal of each element with one atom replaced, for each other element.

    The crystal is that of the host if it is close-packed or bcc, else fcc.
    """
    crystals = []
    for host, impurity in dilute_compositions(elements):
        prototype = reference_prototype(host)
        lattice = prototype if prototype in LATTICES else LATTICES[0]
        atoms = _lattice(lattice, n_atoms)
        atoms.symbols = [impurity, *[host] * (len(atoms) - 1)]
        crystals.append(Crystal(f"{lattice}_dilute", _at_mean_volume(atoms)))
    return crystals


def _lattice(name: str, n_atoms: int) -> Atoms:
    return supercell(bulk("Cu", name, a=1.0, **({"c": 1.633} if name == "hcp" else {})), n_atoms)


def _at_mean_volume(atoms: Atoms, factor: float = 1.0) -> Atoms:
    """Return a crystal scaled to a multiple of the mean of the estimated volumes of its atoms in close packing."""
    volumes = [close_packed_volume(symbol) for symbol in atoms.get_chemical_symbols()]
    return _scaled(atoms, float(np.mean(volumes)) * factor)


def _symbols(composition: dict[str, float], n_atoms: int) -> list[str]:
    """Return the symbols (n_atoms,) of a composition, at least one of each of its elements if there are enough atoms."""
    symbols: list[str] = []
    for element, share in composition.items():
        symbols += [element] * max(1, round(share * n_atoms))
    first = next(iter(composition))
    return (symbols + [first] * n_atoms)[:n_atoms]


def supercell(atoms: Atoms, max_atoms: int, along: Sequence[bool] | np.ndarray = (True, True, True)) -> Atoms:
    """Return the largest supercell of at most `max_atoms` atoms obtained by doubling the shortest cell vector.

    :param along: whether a cell vector (3,) may be doubled.
    """
    while np.any(along) and 2 * len(atoms) <= max_atoms:
        repeat = [1, 1, 1]
        repeat[int(np.argmin(np.where(along, atoms.cell.lengths(), np.inf)))] = 2
        atoms = atoms.repeat(repeat)
    return atoms


def at_volume(atoms: Atoms, factor: float) -> Atoms:
    """Return a structure with its volume multiplied by a factor."""
    scaled = atoms.copy()
    scaled.set_cell(atoms.cell.array * factor ** (1 / 3), scale_atoms=True)
    return scaled


def height(atoms: Atoms, axis: int) -> float:
    """Return the height (Å) of the cell along an axis: the distance between the two faces that the axis crosses."""
    return float(1.0 / np.linalg.norm(np.linalg.inv(atoms.cell.array)[:, axis]))


def _scaled(atoms: Atoms, volume_per_atom: float) -> Atoms:
    """Return a structure scaled to a volume per atom (Å^3)."""
    scaled = atoms.copy()
    factor = (volume_per_atom * len(atoms) / atoms.get_volume()) ** (1 / 3)
    scaled.set_cell(atoms.cell * factor, scale_atoms=True)
    return scaled
