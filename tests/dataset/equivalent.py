"""Transformations of a structure into an equal one: order of atoms, rotation, translation, other cell, supercell."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.build import make_supercell


def random_cell(random: np.random.Generator, symbols: list[str]) -> Atoms:
    """A periodic cell of atoms at random places, none too close."""
    cell = np.eye(3) * 5.0 + random.uniform(-0.8, 0.8, (3, 3))
    while True:
        atoms = Atoms(symbols, scaled_positions=random.uniform(size=(len(symbols), 3)), cell=cell, pbc=True)
        distances = atoms.get_all_distances(mic=True)
        if distances[np.triu_indices(len(atoms), 1)].min(initial=9.0) > 1.2:
            return atoms


def permuted(atoms: Atoms, random: np.random.Generator) -> Atoms:
    return atoms[random.permutation(len(atoms))]


def rotated(atoms: Atoms, random: np.random.Generator) -> Atoms:
    rotation, _ = np.linalg.qr(random.normal(size=(3, 3)))
    rotated = atoms.copy()
    rotated.set_cell(atoms.cell.array @ rotation)
    rotated.positions = atoms.positions @ rotation
    return rotated


def translated(atoms: Atoms, random: np.random.Generator) -> Atoms:
    copy = atoms.copy()
    copy.positions += random.uniform(-3, 3, 3)
    if copy.pbc.all():
        copy.wrap()
    return copy


def other_cell(atoms: Atoms, random: np.random.Generator) -> Atoms:
    if not atoms.pbc.all():
        return atoms.copy()
    shear = np.eye(3, dtype=int)
    shear[0, 1], shear[2, 0] = random.integers(-2, 3, 2)
    return make_supercell(atoms, shear)


def supercell(atoms: Atoms, random: np.random.Generator) -> Atoms:
    if not atoms.pbc.all():
        return atoms.copy()
    repeat = [1, 1, 1]
    repeat[random.integers(3)] = 2
    return atoms.repeat(repeat)


TRANSFORMATIONS = (permuted, rotated, translated, other_cell, supercell)


def transformed(atoms: Atoms, random: np.random.Generator) -> Atoms:
    for transform in TRANSFORMATIONS:
        atoms = transform(atoms, random)
    return atoms
