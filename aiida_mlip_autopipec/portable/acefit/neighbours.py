"""Neighbour lists, by pyace: much faster than ASE's."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from pyace.atomicenvironment import aseatoms_to_atomicenvironment


def neighbours(atoms: Atoms, cutoff: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the indices of atoms and of their neighbours, and the distances (Å), of all pairs within the cutoff (Å)."""
    first, second, vectors = neighbour_vectors(atoms, cutoff)
    return first, second, np.linalg.norm(vectors, axis=1)


def neighbour_vectors(atoms: Atoms, cutoff: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the same indices, those of atoms rising, and the vectors (p, 3) in Å from atoms to neighbours."""
    index_of = {symbol: index for index, symbol in enumerate(sorted(set(atoms.get_chemical_symbols())))}
    environment = aseatoms_to_atomicenvironment(atoms, cutoff=cutoff, elements_mapper_dict=index_of)
    lists = environment.neighbour_list[: len(atoms)]
    first = np.repeat(np.arange(len(atoms)), [len(one) for one in lists])
    second = np.concatenate([np.asarray(one, dtype=int) for one in lists])
    positions = np.array(environment.x)
    vectors = positions[second] - positions[first]
    inside = np.linalg.norm(vectors, axis=1) < cutoff
    return first[inside], np.array(environment.origins)[second[inside]], vectors[inside]
