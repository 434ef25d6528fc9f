"""Dividing a dataset into train and test."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from math import floor
from typing import Literal

import numpy as np
from ase import Atoms

Split = Literal["train", "test"]

FEWEST_FOR_A_TEST = 10
"""Number of structures from which on the test part is never empty, if one is asked for."""

Group = list[int]
"""Indices of equal structures."""


def split_by_groups(
    structures: Sequence[Atoms], groups: Sequence[int], to_train: Sequence[bool], *, test_fraction: float, seed: int
) -> list[Split]:
    """Draw a test part at random: whole groups, from each family in proportion to its size.

    The test part has ``test_fraction`` of the structures, rounded to the nearest number, at least one of ten or more.
    It is smaller only where groups do not add up to it. At least one group of each family stays in train.

    The draw orders groups by a hash of the seed and of the structures. So it does not depend on the order of structures
    or of their atoms, and when structures are added, most others stay on their side.

    :param structures: n structures, with their family in ``atoms.info["family"]``.
    :param groups: (n,) number of the group of each structure; the first structure tells the family of the group.
    :param to_train: (n,) whether a structure, and with it its group, must stay in train.
    :param test_fraction: 0 <= test_fraction < 1.
    :raises ValueError: if the test fraction is out of range.
    """
    if not 0.0 <= test_fraction < 1.0:
        raise ValueError(f"test_fraction is {test_fraction}; it must be at least 0 and less than 1")
    wanted = floor(test_fraction * len(structures) + 0.5)
    if test_fraction > 0.0 and len(structures) >= FEWEST_FOR_A_TEST:
        wanted = max(wanted, 1)
    families = _eligible(structures, groups, to_train, seed) if wanted else {}
    quotas = _apportion(wanted, {family: sum(map(len, members)) for family, members in families.items()})
    test: set[int] = set()
    left: dict[str, list[Group]] = {}
    for family, members in families.items():
        left[family] = _draw(members, quotas[family], test)
    for members in left.values():
        _draw(members, wanted - len(test), test)
    return ["test" if index in test else "train" for index in range(len(structures))]


def _eligible(
    structures: Sequence[Atoms], groups: Sequence[int], to_train: Sequence[bool], seed: int
) -> dict[str, list[Group]]:
    """Return the groups that may go to test, by family, in the order of the draw."""
    members: dict[int, Group] = defaultdict(list)
    for index, group in enumerate(groups):
        members[group].append(index)
    families: dict[str, list[Group]] = defaultdict(list)
    for equal in members.values():
        if not any(to_train[index] for index in equal):
            families[str(structures[equal[0]].info.get("family", "unknown"))].append(equal)
    return {
        family: sorted(families[family], key=lambda equal: min(_ticket(structures[index], seed) for index in equal))
        for family in sorted(families)
    }


def _ticket(atoms: Atoms, seed: int) -> bytes:
    order = np.lexsort((*atoms.positions.T, atoms.numbers))
    digest = blake2b(str(seed).encode(), digest_size=16)
    # Adding 0 makes -0 and 0 the same bytes.
    for array in (atoms.numbers[order], atoms.pbc, atoms.positions[order] + 0.0, atoms.cell.array + 0.0):
        digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
    return digest.digest()


def _apportion(wanted: int, sizes: Mapping[str, int]) -> dict[str, int]:
    """Divide a number in proportion to sizes, by largest remainders."""
    total = sum(sizes.values())
    if total == 0:
        return {}
    exact = {name: wanted * size / total for name, size in sizes.items()}
    shares = {name: floor(value) for name, value in exact.items()}
    by_remainder = sorted(exact, key=lambda name: (shares[name] - exact[name], name))
    for name in by_remainder[: wanted - sum(shares.values())]:
        shares[name] += 1
    return shares


def _draw(groups: list[Group], quota: int, test: set[int]) -> list[Group]:
    """Add groups to the test part up to a quota of structures, never the last of them; return those left."""
    left = []
    in_train = len(groups)
    for group in groups:
        if len(group) <= quota and in_train > 1:
            test.update(group)
            quota -= len(group)
            in_train -= 1
        else:
            left.append(group)
    return left
