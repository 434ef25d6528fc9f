"""Forces that are exactly zero although no symmetry makes them so: left out, or set to zero for atoms held fixed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.data import covalent_radii

from .issues import PlausibilityIssue

MIN_STRUCTURES, MIN_FRACTION = 3, 0.05
"""Minimum number of structures with such forces for an issue, and their minimum fraction of all structures."""

MIN_OTHER_FORCE = 0.1
"""Median (eV/Å) of the other forces in a structure below which zeros may be rounded forces of a relaxed structure."""

_SAMPLE = 300
"""Maximum number of structures whose environments are computed."""

_BOND = 1.5
"""Neighbours are atoms closer than this times the sum of the covalent radii."""

_MIN_POLARITY = 0.02
"""Length (no unit) of the sum of the unit vectors to the neighbours of an atom, weighted by distance, above which no symmetry
makes its force zero; in symmetric crystals with rounded positions it is below 1e-3."""

_FIXED = (
    "these atoms were held fixed, and the program sets their forces to zero: write the forces before constraints are "
    "applied, or leave these structures out"
)
_LEFT_OUT = "the forces were not computed or not written, and zeros stand for them: leave these structures out"


def zero_force_issues(structures: Sequence[Atoms]) -> list[PlausibilityIssue]:
    """Return an issue if forces in several structures are exactly zero, but not by symmetry.

    :param structures: with forces (n, 3) in eV/Å.
    """
    with_zeros = [atoms for atoms in structures if len(atoms) > 1 and not _forces(atoms).any(axis=1).all()]
    compared = with_zeros[:: max(1, -(-len(with_zeros) // _SAMPLE))]
    all_zero: list[Atoms] = []
    some_zero: list[tuple[Atoms, int]] = []
    for atoms in compared:
        sizes = np.linalg.norm(_forces(atoms), axis=1)
        others = sizes[sizes > 0.0]
        if others.size and np.median(others) < MIN_OTHER_FORCE:
            continue
        wrong = int(np.count_nonzero(_is_polar(atoms) & (sizes == 0.0)))
        if wrong and others.size:
            some_zero.append((atoms, wrong))
        elif wrong:
            all_zero.append(atoms)
    limit = max(MIN_STRUCTURES, MIN_FRACTION * len(structures) * len(compared) / max(len(with_zeros), 1))
    issues = []
    if len(all_zero) >= limit:
        message = f"all forces are exactly 0 in {_of(len(all_zero), structures)}, for example in {_name(all_zero[0])}"
        issues.append(PlausibilityIssue("forces", f"{message}, although no symmetry makes them zero", _LEFT_OUT))
    if len(some_zero) >= limit:
        atoms, count = some_zero[0]
        message = (
            f"in {_of(len(some_zero), structures)} some atoms have forces of exactly 0, and the others do not, for example "
            f"{count} of the {len(atoms)} atoms of {_name(atoms)}, although no symmetry makes these forces zero"
        )
        issues.append(PlausibilityIssue("forces", message, _FIXED))
    return issues


def _forces(atoms: Atoms) -> np.ndarray:
    return np.asarray(atoms.calc.results["forces"], dtype=float)


def _of(count: int, structures: Sequence[Atoms]) -> str:
    return f"{count} of {len(structures)} structures"


def _name(atoms: Atoms) -> str:
    return str(atoms.get_chemical_formula())


def _is_polar(atoms: Atoms) -> np.ndarray:
    """Return the mask (n,) of the atoms whose neighbours do not balance each other."""
    from ase.neighborlist import neighbor_list

    radii = _BOND * covalent_radii[atoms.numbers]
    first, second, distances, vectors = neighbor_list("ijdD", atoms, radii.tolist())
    polar = np.zeros(len(atoms), dtype=bool)
    for number in set(atoms.numbers.tolist()):
        selected = atoms.numbers[second] == number
        i, d = first[selected], distances[selected]
        weights = 1.0 - d / (radii[i] + radii[second[selected]])
        sums = np.zeros((len(atoms), 3))
        np.add.at(sums, i, (weights / d)[:, None] * vectors[selected])
        polar |= np.linalg.norm(sums, axis=1) > _MIN_POLARITY
    return polar
