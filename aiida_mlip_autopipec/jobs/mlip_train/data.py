"""The labelled structures and the reference energies."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from ase import Atoms
from mlip_common.errors import ProgramError, log
from mlip_common.frames import read_structures

from .hull import energies_above_hull
from .neighbours import neighbours
from .settings import FitSettings

FOLDS = 5
"""Number of folds of cross-validation."""


@dataclass(frozen=True)
class Frame:
    """A labelled structure: energy in eV, forces (n, 3) in eV/Å, and virial (6,) in eV.

    The virial, volume times stress in Voigt order, exists only for periodic structures with a stress. `n_equal` is the number
    of equal structures in the training data, this one included; for one of them, `is_first` is true. `above_hull` is the
    energy (eV/atom) of a training structure above the convex hull of all training structures.
    """

    atoms: Atoms
    energy: float
    forces: np.ndarray
    virial: np.ndarray | None
    split: str
    group: int
    family: str
    n_equal: int = 1
    is_first: bool = True
    above_hull: float = 0.0


def read_frames(path: Path, elements: Sequence[str]) -> list[Frame]:
    """Read and check the dataset.

    :raises ProgramError: of the kind `bad_input`.
    """
    structures = read_structures(path)
    if not structures:
        raise ProgramError("bad_input", f"{path}: has no structures")
    return _with_energies_above_hull(
        _mark_duplicates([_frame(index, atoms, elements) for index, atoms in enumerate(structures)])
    )


def _with_energies_above_hull(frames: Sequence[Frame]) -> list[Frame]:
    """Set the energy above the hull of each training frame."""
    training = [index for index, frame in enumerate(frames) if frame.split == "train"]
    energies = np.array([frames[index].energy for index in training])
    above = energies_above_hull([frames[index].atoms for index in training], energies)
    of_frame = dict(zip(training, above.tolist(), strict=True))
    return [replace(frame, above_hull=of_frame.get(index, 0.0)) for index, frame in enumerate(frames)]


def _mark_duplicates(frames: Sequence[Frame]) -> list[Frame]:
    """Set the number of duplicates of each training frame, and mark the first of them."""
    of_group = Counter(frame.group for frame in frames if frame.split == "train")
    seen: set[int] = set()
    marked = []
    for frame in frames:
        if frame.split == "train":
            frame = replace(frame, n_equal=of_group[frame.group], is_first=frame.group not in seen)
            seen.add(frame.group)
        marked.append(frame)
    return marked


def _frame(index: int, atoms: Atoms, elements: Sequence[str]) -> Frame:
    name = f"structure {index} ({atoms.get_chemical_formula()})"
    results = atoms.calc.results if atoms.calc is not None else {}
    missing = [key for key in ("energy", "forces") if key not in results]
    if missing:
        raise ProgramError("bad_input", f"{name}: has no {' and no '.join(missing)}")
    energy, forces = float(results["energy"]), np.array(results["forces"], dtype=float)
    if not (math.isfinite(energy) and np.isfinite(forces).all()):
        raise ProgramError("bad_input", f"{name}: its energy or forces are not finite")
    unknown = sorted(set(atoms.get_chemical_symbols()) - set(elements))
    if unknown:
        raise ProgramError("bad_input", f"{name}: contains {', '.join(unknown)}, not among the elements {elements}")
    if atoms.pbc.any() and not atoms.pbc.all():
        raise ProgramError(
            "bad_input", f"{name}: is periodic in some directions only; make slabs periodic, with vacuum"
        )
    split = str(atoms.info.get("split", "train"))
    if split not in ("train", "test"):
        raise ProgramError("bad_input", f"{name}: info['split'] is {split!r}; allowed: train, test")
    stress = np.array(results.get("stress", np.nan), dtype=float)
    virial = (
        stress * atoms.get_volume() if atoms.pbc.all() and stress.shape == (6,) and np.isfinite(stress).all() else None
    )
    bare = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    return Frame(
        bare,
        energy,
        forces,
        virial,
        split,
        int(atoms.info.get("group", index)),
        str(atoms.info.get("family", "unknown")),
    )


@dataclass(frozen=True)
class ReferenceEnergies:
    """Energy (eV) of a free atom of each element, which is the zero of energy of the potential, and its source."""

    of_element: dict[str, float]
    source: str

    def of(self, atoms: Atoms) -> float:
        """Return the sum (eV) over the atoms of a structure."""
        return sum(self.of_element[symbol] for symbol in atoms.get_chemical_symbols())


ISOLATION_DISTANCE = 8.0
"""A free atom has no neighbour within this distance (Å), the longest cutoff that `auto` chooses."""


def is_free_atom(atoms: Atoms) -> bool:
    """Return whether a structure is a single atom, without cell or in a large periodic box."""
    return len(atoms) == 1 and (not atoms.pbc.any() or len(neighbours(atoms, ISOLATION_DISTANCE)[0]) == 0)


def reference_energies(settings: FitSettings, frames: Sequence[Frame]) -> ReferenceEnergies:
    """Return the energies of free atoms from the input, else from isolated atoms in the data, else from a least-squares fit."""
    given = (settings.raw.get("data") or {}).get("reference_energy")
    if given is not None:
        missing = [element for element in settings.elements if element not in given]
        if missing:
            raise ProgramError("bad_input", f"data.reference_energy lacks {', '.join(missing)}")
        return ReferenceEnergies({element: float(given[element]) for element in settings.elements}, "input")
    isolated: dict[str, float] = {}
    for frame in filter(lambda frame: is_free_atom(frame.atoms), frames):
        # The ground state of an atom, if several spin states are given.
        symbol = frame.atoms.get_chemical_symbols()[0]
        isolated[symbol] = min(frame.energy, isolated.get(symbol, frame.energy))
    if all(element in isolated for element in settings.elements):
        return ReferenceEnergies({element: isolated[element] for element in settings.elements}, "isolated_atoms")
    training = [frame for frame in frames if frame.split == "train" and frame.is_first]
    counts = np.array(
        [[frame.atoms.get_chemical_symbols().count(el) for el in settings.elements] for frame in training]
    )
    sizes = counts.sum(axis=1)
    energies = np.array([frame.energy for frame in training])
    solution = np.linalg.lstsq(counts / sizes[:, None], energies / sizes, rcond=None)[0]
    log("the data lack an isolated atom of some element: reference energies from a least-squares fit")
    return ReferenceEnergies(dict(zip(settings.elements, solution.tolist(), strict=True)), "least_squares")


def shortest_distances(frames: Iterable[Frame], cutoff: float) -> dict[tuple[str, str], float]:
    """Return the shortest distance (Å) of each pair of elements within the cutoff."""
    shortest: dict[tuple[str, str], float] = {}
    for frame in frames:
        first, second, distances = neighbours(frame.atoms, cutoff)
        symbols = np.array(frame.atoms.get_chemical_symbols())
        pairs = np.sort(np.stack([symbols[first], symbols[second]], axis=1), axis=1)
        for pair in {tuple(pair) for pair in pairs.tolist()}:
            chosen = (pairs == pair).all(axis=1)
            shortest[pair] = min(shortest.get(pair, math.inf), float(distances[chosen].min()))
    return shortest


def groups_in_order(frames: Sequence[Frame]) -> list[int]:
    """Return the groups, sorted by family and then by chemical formula."""
    order_of = {frame.group: (frame.family, str(frame.atoms.symbols), frame.group) for frame in reversed(frames)}
    return sorted(order_of, key=lambda group: order_of[group])


def assign_folds(frames: Sequence[Frame]) -> list[int]:
    """Return the fold of each frame: groups are not divided, and each family is spread over all folds."""
    fold_of = {group: number % FOLDS for number, group in enumerate(groups_in_order(frames))}
    return [fold_of[frame.group] for frame in frames]
