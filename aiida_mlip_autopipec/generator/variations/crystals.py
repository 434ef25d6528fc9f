"""Variations of crystals: volumes, strains, displacements and point defects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from scipy.spatial import Voronoi

from ..crystals import supercell

_SIZES = (4, 8, 16, 32)
"""Numbers of atoms of supercells, as far as `max_atoms` allows."""


def strained(atoms: Atoms, largest: float, along: np.ndarray, random: np.random.Generator) -> Atoms:
    """Return a structure under a random symmetric strain; only the cell vectors selected by the mask `along` (3,) change."""
    strain = random.uniform(-largest, largest, (3, 3))
    changed = atoms.copy()
    vectors = atoms.cell.array.copy()
    vectors[along] = (vectors @ (np.eye(3) + (strain + strain.T) / 2))[along]
    changed.set_cell(vectors, scale_atoms=True)
    return changed


def rattled(atoms: Atoms, deviation: float, random: np.random.Generator) -> Atoms:
    """Return a structure with normally distributed displacements of a standard deviation (Å)."""
    moved = atoms.copy()
    moved.positions += random.normal(0.0, deviation, moved.positions.shape)
    return moved


def larger_cell(atoms: Atoms, max_atoms: int, along: np.ndarray, random: np.random.Generator) -> Atoms:
    """Return a supercell of a random size along the directions in which the structure continues."""
    return supercell(atoms, min(max_atoms, int(random.choice(_SIZES))), along)


def vacancy(atoms: Atoms, stoichiometric: bool, random: np.random.Generator) -> Atoms:
    """Return a structure without one atom, or without one atom of each element."""
    symbols = np.array(atoms.get_chemical_symbols())
    if stoichiometric:
        removed = [int(random.choice(np.flatnonzero(symbols == symbol))) for symbol in sorted(set(symbols))]
    else:
        removed = [int(random.integers(len(atoms)))]
    if len(removed) >= len(atoms):
        return atoms.copy()
    return atoms[[index for index in range(len(atoms)) if index not in removed]]


def interstitial(atoms: Atoms, elements: Sequence[str], random: np.random.Generator) -> Atoms:
    """Return a structure with one atom more, at one of its widest Voronoi sites."""
    sites = voronoi_sites(atoms)
    changed = atoms.copy()
    if len(sites):
        changed += Atoms(str(random.choice(elements)), positions=[sites[int(random.integers(min(8, len(sites))))]])
    return changed


def voronoi_sites(atoms: Atoms) -> np.ndarray:
    """Return the vertices of the Voronoi cells of a crystal (n, 3) in Å, those farthest from the atoms first.

    Vertices that are less than 0.3 Å apart count once.
    """
    images = atoms.repeat(3)
    images.positions -= atoms.cell.array.sum(axis=0)
    vertices = Voronoi(images.positions).vertices
    inside = vertices[
        ((atoms.cell.scaled_positions(vertices) >= -1e-6) & (atoms.cell.scaled_positions(vertices) < 1)).all(1)
    ]
    distances = np.linalg.norm(inside[:, None] - images.positions, axis=2).min(axis=1) if len(inside) else np.zeros(0)
    found: list[np.ndarray] = []
    for index in np.argsort(-distances, kind="stable"):
        if all(np.linalg.norm(inside[index] - site) > 0.3 for site in found):
            found.append(inside[index])
    return np.array(found).reshape(-1, 3)


def antisite(atoms: Atoms, elements: Sequence[str], random: np.random.Generator) -> Atoms:
    """Return a structure with two atoms of different elements exchanged, or one atom replaced by another element."""
    changed = atoms.copy()
    symbols = np.array(atoms.get_chemical_symbols(), dtype=object)
    present = sorted(set(symbols))
    if len(present) > 1 and random.random() < 0.5:
        pair = random.choice(present, 2, replace=False)
        first, second = (int(random.choice(np.flatnonzero(symbols == symbol))) for symbol in pair)
        symbols[first], symbols[second] = symbols[second], symbols[first]
    else:
        for _ in range(int(random.integers(1, 3))):
            index = int(random.integers(len(symbols)))
            others = [element for element in elements if element != symbols[index]]
            if others:
                symbols[index] = str(random.choice(others))
    changed.set_chemical_symbols(list(symbols))
    return changed
