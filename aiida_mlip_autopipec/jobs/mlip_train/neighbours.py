"""Neighbour lists of pyace, which are much faster than those of ASE."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from pyace.atomicenvironment import aseatoms_to_atomicenvironment


def neighbours(atoms: Atoms, cutoff: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the indices of atoms and of neighbours (p,), and the distances (p,) in Å, of all pairs within the cutoff (Å)."""
    first, second, vectors = neighbour_vectors(atoms, cutoff)
    return first, second, np.linalg.norm(vectors, axis=1)


def neighbour_vectors(atoms: Atoms, cutoff: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the indices of atoms, sorted, and of neighbours (p,), and the vectors (p, 3) in Å from atoms to neighbours."""
    index_of = {symbol: index for index, symbol in enumerate(sorted(set(atoms.get_chemical_symbols())))}
    environment = aseatoms_to_atomicenvironment(atoms, cutoff=cutoff, elements_mapper_dict=index_of)
    lists = environment.neighbour_list[: len(atoms)]
    first = np.repeat(np.arange(len(atoms)), [len(of_atom) for of_atom in lists])
    second = np.concatenate([np.asarray(of_atom, dtype=int) for of_atom in lists])
    positions = np.array(environment.x)
    vectors = positions[second] - positions[first]
    inside = np.linalg.norm(vectors, axis=1) < cutoff
    return first[inside], np.array(environment.origins)[second[inside]], vectors[inside]
