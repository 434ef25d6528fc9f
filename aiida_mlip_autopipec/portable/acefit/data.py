"""The labelled structures, and the energies they are counted from."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from acecommon.errors import ExplainedError, log
from acecommon.frames import read_structures
from ase import Atoms

from .neighbours import neighbours
from .settings import Settings

FOLDS = 5
"""Parts of the training data for cross-validation."""


@dataclass(frozen=True)
class Frame:
    """A labelled structure: energy in eV, forces (n, 3) in eV/Å, and the derivative of the energy by strain (6,) in eV.

    The latter, volume times stress in Voigt's order, is known only for periodic structures that have a stress. Of `equal`
    structures to train on, one is the `first`.
    """

    atoms: Atoms
    energy: float
    forces: np.ndarray
    virial: np.ndarray | None
    split: str
    group: int
    family: str
    equal: int = 1
    first: bool = True


def read_frames(path: Path, elements: Sequence[str]) -> list[Frame]:
    """Read and check the dataset."""
    structures = read_structures(path)
    if not structures:
        raise ExplainedError("bad_input", f"{path}: holds no structures")
    return _with_equals([_frame(index, atoms, elements) for index, atoms in enumerate(structures)])


def _with_equals(frames: Sequence[Frame]) -> list[Frame]:
    """Tell of each frame to train on how many are equal to it, and whether it is the first of these."""
    of_group = Counter(frame.group for frame in frames if frame.split == "train")
    seen: set[int] = set()
    marked = []
    for frame in frames:
        if frame.split == "train":
            frame = replace(frame, equal=of_group[frame.group], first=frame.group not in seen)
            seen.add(frame.group)
        marked.append(frame)
    return marked


def _frame(index: int, atoms: Atoms, elements: Sequence[str]) -> Frame:
    name = f"structure {index} ({atoms.get_chemical_formula()})"
    results = atoms.calc.results if atoms.calc is not None else {}
    missing = [key for key in ("energy", "forces") if key not in results]
    if missing:
        raise ExplainedError("bad_input", f"{name}: has no {' and no '.join(missing)}")
    energy, forces = float(results["energy"]), np.array(results["forces"], dtype=float)
    if not (math.isfinite(energy) and np.isfinite(forces).all()):
        raise ExplainedError("bad_input", f"{name}: its energy or forces are not finite")
    strangers = sorted(set(atoms.get_chemical_symbols()) - set(elements))
    if strangers:
        raise ExplainedError("bad_input", f"{name}: contains {', '.join(strangers)}, not among the elements {elements}")
    if atoms.pbc.any() and not atoms.pbc.all():
        raise ExplainedError(
            "bad_input", f"{name}: is periodic in some directions only; make slabs periodic, with vacuum"
        )
    split = str(atoms.info.get("split", "train"))
    if split not in ("train", "test"):
        raise ExplainedError("bad_input", f"{name}: info['split'] is {split!r}; allowed: train, test")
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
    """The energy (eV) of a free atom of each element, which the potential counts as zero, and where it is from."""

    of_element: dict[str, float]
    source: str

    def of(self, atoms: Atoms) -> float:
        """Return the sum over the atoms of a structure."""
        return sum(self.of_element[symbol] for symbol in atoms.get_chemical_symbols())


BEYOND_ANY_CUTOFF = 8.0
"""Distance (Å) within which a free atom has no neighbour."""


def is_free_atom(atoms: Atoms) -> bool:
    """Tell whether a structure is one atom, alone or in a large periodic box."""
    return len(atoms) == 1 and (not atoms.pbc.any() or len(neighbours(atoms, BEYOND_ANY_CUTOFF)[0]) == 0)


def reference_energies(settings: Settings, frames: Sequence[Frame]) -> ReferenceEnergies:
    """Take free-atom energies from the input, else from isolated atoms in the data, else from a least-squares fit."""
    given = (settings.raw.get("data") or {}).get("reference_energy")
    if given is not None:
        missing = [element for element in settings.elements if element not in given]
        if missing:
            raise ExplainedError("bad_input", f"data.reference_energy lacks {', '.join(missing)}")
        return ReferenceEnergies({element: float(given[element]) for element in settings.elements}, "input")
    isolated = {frame.atoms.get_chemical_symbols()[0]: frame.energy for frame in frames if is_free_atom(frame.atoms)}
    if all(element in isolated for element in settings.elements):
        return ReferenceEnergies({element: isolated[element] for element in settings.elements}, "isolated_atoms")
    training = [frame for frame in frames if frame.split == "train" and frame.first]
    counts = np.array(
        [[frame.atoms.get_chemical_symbols().count(el) for el in settings.elements] for frame in training]
    )
    sizes = counts.sum(axis=1)
    energies = np.array([frame.energy for frame in training])
    solution = np.linalg.lstsq(counts / sizes[:, None], energies / sizes, rcond=None)[0]
    log("no isolated atom of every element in the data: reference energies are a least-squares fit")
    return ReferenceEnergies(dict(zip(settings.elements, solution.tolist(), strict=True)), "least_squares")


def shortest_distances(frames: Iterable[Frame], cutoff: float) -> dict[tuple[str, str], float]:
    """Return the shortest distance (Å) of each pair of elements that occurs within the cutoff."""
    shortest: dict[tuple[str, str], float] = {}
    for frame in frames:
        first, second, distances = neighbours(frame.atoms, cutoff)
        symbols = np.array(frame.atoms.get_chemical_symbols())
        pairs = np.sort(np.stack([symbols[first], symbols[second]], axis=1), axis=1)
        for pair in {tuple(pair) for pair in pairs.tolist()}:
            chosen = (pairs == pair).all(axis=1)
            shortest[pair] = min(shortest.get(pair, math.inf), float(distances[chosen].min()))
    return shortest


def assign_folds(frames: Sequence[Frame]) -> list[int]:
    """Return the fold of each frame: one for a whole group, and each kind of structure spread over all of them."""
    kind_of = {frame.group: (frame.family, str(frame.atoms.symbols), frame.group) for frame in reversed(frames)}
    fold_of = {group: number % FOLDS for number, group in enumerate(sorted(kind_of, key=lambda group: kind_of[group]))}
    return [fold_of[frame.group] for frame in frames]
