"""Neighbour lists, by pyace: much faster than ASE's."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from pyace.atomicenvironment import aseatoms_to_atomicenvironment


def neighbours(atoms: Atoms, cutoff: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the indices of atoms and of their neighbours, and the distances (Å), of all pairs within the cutoff (Å)."""
    index_of = {symbol: index for index, symbol in enumerate(sorted(set(atoms.get_chemical_symbols())))}
    environment = aseatoms_to_atomicenvironment(atoms, cutoff=cutoff, elements_mapper_dict=index_of)
    lists = environment.neighbour_list[: len(atoms)]
    first = np.repeat(np.arange(len(atoms)), [len(one) for one in lists])
    second = np.concatenate([np.asarray(one, dtype=int) for one in lists])
    positions = np.array(environment.x)
    distances = np.linalg.norm(positions[second] - positions[first], axis=1)
    inside = distances < cutoff
    return first[inside], np.array(environment.origins)[second[inside]], distances[inside]
