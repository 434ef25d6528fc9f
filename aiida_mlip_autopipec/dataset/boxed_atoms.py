"""Single atoms in periodic boxes that are too small for isolated atoms, but too large for neighbours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ase import Atoms
from ase.data import covalent_radii

from ..config.schemas.curation import DuplicateConfig
from .fingerprint import shortest_distances
from .issues import PlausibilityIssue

_MIN_RATIO, _MIN_LENGTH = 2.0, 5.5
"""The images of an atom are no neighbours if their distance is above the first number times the covalent diameter and above
the second one (Å): in crystals of closed-shell atoms, such as argon, neighbours are up to 5 Å apart."""

_CAUSE = (
    "the box is too small for an isolated atom: compute the atom in a larger box, or mark it by config_type=isolated_atom "
    "if its energy does not depend on the box"
)


def boxed_atom_issues(bound: Sequence[Atoms], free_elements: Iterable[str]) -> list[PlausibilityIssue]:
    """Return an issue if an element has no isolated atom, but a single atom in a box slightly too small for one.

    :param bound: structures that are not isolated atoms.
    :param free_elements: elements with an isolated atom.
    """
    limit, known = DuplicateConfig().radius, set(free_elements)
    for atoms in bound:
        if len(atoms) != 1 or not atoms.pbc.all() or atoms.symbols[0] in known:
            continue
        length = min(shortest_distances(atoms, limit).values(), default=limit)
        if length > max(_MIN_RATIO * 2.0 * covalent_radii[atoms.numbers[0]], _MIN_LENGTH):
            message = (
                f"a single atom of {atoms.symbols[0]} is not taken as an isolated atom, since its periodic images are "
                f"{length:.3g} Å apart, less than {limit:g} Å, but too far apart for a crystal"
            )
            return [PlausibilityIssue("free_atoms", message, _CAUSE)]
    return []
