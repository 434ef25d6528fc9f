"""Pairs of structures so similar that their labels must be consistent.

The energy difference of two similar structures follows from their forces and stresses, to second order in the distance:
with the mean forces F and the mean product of volume V and stress S of both, dE = -F.u + V S:e, where e is the strain
between the cells and u are the displacements beyond it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.stress import voigt_6_to_full_3x3_stress

MAX_DISPLACEMENT = 0.45
"""Maximum displacement (Å) of an atom between paired structures."""

MAX_STRAIN = 0.06
"""Maximum component of the strain between paired structures."""

_PAIRS_PER_STRUCTURE = 3
"""Number of nearest structures that each structure is paired with."""

_MAX_DISPLACEMENTS_PER_GROUP = 3e6
"""Maximum number of displacements computed in one group of similar structures; larger groups are sampled evenly."""

_MAX_DISPLACEMENTS = 4e7
"""Maximum number of displacements computed in total."""

_IDENTICAL = 1e-6
"""Displacement (Å) and strain below which two structures are identical."""


@dataclass(frozen=True)
class NearPairs:
    """p pairs of similar structures; for each pair:

    :ivar first, second: indices of the structures (p,).
    :ivar sizes: numbers of atoms (p,).
    :ivar volumes: mean volumes (p,) in Å^3; NaN without periodicity.
    :ivar energies: energy differences (p,) in eV, second minus first.
    :ivar from_forces: energy differences (p,) in eV by the forces.
    :ivar from_stress: energy differences (p,) in eV by the stress: 0 without strain, NaN if there is strain but no
        stress.
    :ivar prediction_spreads: half the absolute difference (p,), in eV, between two predictions of the energy difference:
        one from the forces and stress of the first structure, one from those of the second. The error of the mean of both
        is a fraction of it.
    :ivar strains: largest component of the strain (p,).
    """

    first: np.ndarray
    second: np.ndarray
    sizes: np.ndarray
    volumes: np.ndarray
    energies: np.ndarray
    from_forces: np.ndarray
    from_stress: np.ndarray
    prediction_spreads: np.ndarray
    strains: np.ndarray

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.first)

    def where(self, selected: np.ndarray) -> NearPairs:
        """Return the pairs selected by a mask or by indices."""
        return NearPairs(**{name: values[selected] for name, values in vars(self).items()})


def find_near_pairs(structures: Sequence[Atoms]) -> NearPairs:
    """Return pairs of similar structures: each structure with its nearest ones within the limits.

    Only structures with the same atoms in the same order and similar cell vectors are compared. Large sets are sampled.

    :param structures: with energy, forces and, if available, stress in ``atoms.calc.results``; periodic in all
        directions or in none.
    """
    groups: dict[tuple[bytes, bool], list[int]] = defaultdict(list)
    for index, atoms in enumerate(structures):
        groups[atoms.numbers.tobytes(), bool(atoms.pbc.all())].append(index)
    rows: list[tuple[float, ...]] = []
    remaining = _MAX_DISPLACEMENTS
    for members in sorted(groups.values(), key=lambda indices: len(structures[indices[0]])):
        if len(members) < 2 or remaining <= 0:
            continue
        n_atoms = len(structures[members[0]])
        max_count = max(2, int(np.sqrt(min(_MAX_DISPLACEMENTS_PER_GROUP, remaining) / n_atoms)))
        selected = _sample(members, max_count)
        remaining -= len(selected) ** 2 * n_atoms
        rows.extend(_pairs_of(structures, selected))
    table = np.array(rows, dtype=float).reshape(-1, 9)
    first, second, *rest = table.T
    return NearPairs(first.astype(int), second.astype(int), *rest)


def _sample(members: Sequence[int], max_count: int) -> list[int]:
    """Return at most `max_count` of the members: all, or else pairs of consecutive ones, spread evenly."""
    if len(members) <= max_count:
        return list(members)
    starts = np.linspace(0, len(members) - 2, max(max_count // 2, 1)).astype(int)
    return [members[place] for place in sorted({*starts.tolist(), *(starts + 1).tolist()})]


def _pairs_of(structures: Sequence[Atoms], members: Sequence[int]) -> Iterator[tuple[float, ...]]:
    """Yield the pairs among structures of the same atoms, each as the fields of :class:`NearPairs`."""
    frames = [structures[index] for index in members]
    periodic = bool(frames[0].pbc.all())
    cells = np.array([atoms.cell.array if periodic else np.eye(3) for atoms in frames])
    positions = np.array([atoms.positions for atoms in frames])
    fractional = positions @ np.linalg.inv(cells)
    energies = np.array([float(atoms.calc.results["energy"]) for atoms in frames])
    forces = np.array([atoms.calc.results["forces"] for atoms in frames], dtype=float)
    virials = np.array([_virial(atoms, periodic) for atoms in frames])
    seen: set[tuple[int, int]] = set()
    for i in range(len(frames)):
        mean_cells = 0.5 * (cells + cells[i])
        # The mean of dissimilar cells may be singular.
        similar = np.abs(np.linalg.solve(cells[i], cells - cells[i])).max(axis=(1, 2)) < 2.0 * MAX_STRAIN
        mean_cells[~similar] = cells[i]
        strains = np.linalg.solve(mean_cells, cells - cells[i])
        strains = 0.5 * (strains + strains.transpose(0, 2, 1))
        differences = fractional - fractional[i]
        if periodic:
            differences -= np.rint(differences)
        displacements = differences @ mean_cells
        displacements -= displacements.mean(axis=1, keepdims=True)
        max_displacement = np.sqrt((displacements**2).sum(axis=2)).max(axis=1)
        max_strain = np.abs(strains).max(axis=(1, 2))
        near = (
            similar
            & (max_displacement < MAX_DISPLACEMENT)
            & (max_strain < MAX_STRAIN)
            & ((max_displacement > _IDENTICAL) | (max_strain > _IDENTICAL))
        )
        near[i] = False
        candidates = np.flatnonzero(near)
        distances = max_displacement[candidates] / MAX_DISPLACEMENT + max_strain[candidates] / MAX_STRAIN
        nearest = candidates[np.argsort(distances, kind="stable")]
        for j in nearest[:_PAIRS_PER_STRUCTURE].tolist():
            pair = (min(i, j), max(i, j))
            if pair in seen:
                continue
            seen.add(pair)
            by_forces = -np.array([(forces[k] * displacements[j]).sum() for k in (i, j)])
            strained = max_strain[j] > _IDENTICAL
            by_stress = np.array([(virials[k] * strains[j]).sum() if strained else 0.0 for k in (i, j)])
            yield (
                members[i],
                members[j],
                len(frames[0]),
                abs(np.linalg.det(mean_cells[j])) if periodic else np.nan,
                energies[j] - energies[i],
                by_forces.mean(),
                by_stress.mean(),
                0.5 * np.abs(np.diff(by_forces + np.nan_to_num(by_stress)))[0],
                max_strain[j],
            )


def _virial(atoms: Atoms, periodic: bool) -> np.ndarray:
    """Return volume times stress (3, 3) in eV, NaN if unknown."""
    stress = atoms.calc.results.get("stress")
    if stress is None or not periodic:
        return np.full((3, 3), np.nan)
    return np.asarray(voigt_6_to_full_3x3_stress(np.asarray(stress, dtype=float)) * atoms.get_volume())
