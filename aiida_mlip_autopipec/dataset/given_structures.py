"""Given structures, which are the user's own to start from: prepared, checked, and named by where they come from."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list

from ..config.schemas.structures import StructureSource
from .dimension import BOX_MARGIN
from .repair import UnusableError, repair
from .trajectory import sort_by_species

GIVEN = "given"
"""Family of a structure that is labelled exactly as the user gave it."""

SHORTEST = 0.5
"""Atoms of the user's structures that are closer than this fraction of the sum of their covalent radii overlap."""


def prepare_given(
    frames: Sequence[Atoms],
    source: StructureSource,
    *,
    max_atoms: int,
    origins: Sequence[str] | None = None,
    warn: Callable[[str], object] = lambda line: None,
) -> list[Atoms]:
    """Return copies without labels whose info has family, `origin`, `seed` (the name), `role` and `weight`.

    :param max_atoms: the largest allowed number of atoms of a structure (`generator.max_given_atoms`).
    :param origins: the origin of each frame; by default the source and the number of the frame.
    :param warn: called with a line for each change, such as vacuum added to a slab.
    :raises ValueError: naming the source, frame and site of a structure that cannot be used.
    """
    prepared = []
    for number, atoms in enumerate(frames):
        origin = origins[number] if origins is not None else f"{source.title}, frame {number}"
        copy = _prepared(atoms, origin, max_atoms, warn)
        name = source.name or str(copy.get_chemical_formula(empirical=True))
        copy.info = {
            "family": GIVEN,
            "origin": f"{name}: {origin}",
            "seed": name,
            "role": source.role,
            "weight": float(source.weight),
        }
        prepared.append(copy)
    return prepared


def _prepared(atoms: Atoms, origin: str, max_atoms: int, warn: Callable[[str], object]) -> Atoms:
    if len(atoms) > max_atoms:
        raise ValueError(
            f"{origin}: has {len(atoms)} atoms, but at most {max_atoms} are allowed: use a smaller cell, or raise "
            "generator.max_given_atoms if the oracle can label such cells"
        )
    copy = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    try:
        repaired = repair(copy)
    except UnusableError as error:
        raise ValueError(f"{origin}: {error}") from error
    for change in repaired.changes:
        warn(f"{origin}: {change}")
    if (found := overlap(repaired.atoms)) is not None:
        raise ValueError(f"{origin}: {found}")
    usable = repaired.atoms
    if not usable.pbc.any():
        usable.center(vacuum=BOX_MARGIN)
    return sort_by_species(usable)


def overlap(atoms: Atoms) -> str | None:
    """Return which two atoms overlap, or None."""
    first, second, distances = neighbor_list("ijd", atoms, list(covalent_radii[atoms.numbers] * SHORTEST))
    if not len(distances):
        return None
    at = int(np.argmin(distances))
    names = [f"{atoms.symbols[index]} (atom {index})" for index in (first[at], second[at])]
    return f"{names[0]} and {names[1]} overlap: they are {distances[at]:.2f} Å apart"
