"""Division of a dataset into train and test."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from math import floor
from typing import Literal

import numpy as np
from ase import Atoms

from .apportion import round_to_sum

Split = Literal["train", "test"]

SPLIT_NAMES: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "val": "test",
    "valid": "test",
    "validation": "test",
}
"""Names of the parts of a split in published datasets, in lower case. Validation structures go to the test part: they
are never fitted to."""

MIN_STRUCTURES_FOR_TEST = 10
"""Number of structures from which the test part has at least one structure if `test_fraction` > 0."""

Group = list[int]
"""Indices of equal structures."""


def split_by_groups(
    structures: Sequence[Atoms], groups: Sequence[int], to_train: Sequence[bool], *, test_fraction: float, seed: int
) -> list[Split]:
    """Draw a test part at random: whole groups, from each family in proportion to its size.

    The test part has ``test_fraction`` of the structures, rounded to the nearest number, at least one of ten or more.
    It is smaller only where no combination of groups has that size. At least one group of each family stays in train.

    Groups are drawn in the order of a hash of the seed and of the structures. So the split does not depend on the order
    of structures or of their atoms, and most structures keep their part when others are added.

    :param structures: n structures, with their family in ``atoms.info["family"]``.
    :param groups: (n,) number of the group of each structure; the family of a group is that of its first structure.
    :param to_train: (n,) whether a structure, and with it its group, must stay in train.
    :param test_fraction: 0 <= test_fraction < 1.
    :raises ValueError: if the test fraction is out of range.
    """
    if not 0.0 <= test_fraction < 1.0:
        raise ValueError(f"test_fraction is {test_fraction}; it must be at least 0 and less than 1")
    n_test = floor(test_fraction * len(structures) + 0.5)
    if test_fraction > 0.0 and len(structures) >= MIN_STRUCTURES_FOR_TEST:
        n_test = max(n_test, 1)
    families = _eligible(structures, groups, to_train, seed) if n_test else {}
    quotas = _apportion(n_test, {family: sum(map(len, members)) for family, members in families.items()})
    test: set[int] = set()
    remaining: dict[str, list[Group]] = {}
    for family, members in families.items():
        remaining[family] = _draw(members, quotas[family], test)
    for members in remaining.values():
        _draw(members, n_test - len(test), test)
    return ["test" if index in test else "train" for index in range(len(structures))]


def _eligible(
    structures: Sequence[Atoms], groups: Sequence[int], to_train: Sequence[bool], seed: int
) -> dict[str, list[Group]]:
    """Return the groups that may go to test, by family, in the order in which they are drawn."""
    members: dict[int, Group] = defaultdict(list)
    for index, group in enumerate(groups):
        members[group].append(index)
    families: dict[str, list[Group]] = defaultdict(list)
    for equal in members.values():
        if not any(to_train[index] for index in equal):
            families[str(structures[equal[0]].info.get("family", "unknown"))].append(equal)
    return {
        family: sorted(families[family], key=lambda equal: min(_random_key(structures[index], seed) for index in equal))
        for family in sorted(families)
    }


def _random_key(atoms: Atoms, seed: int) -> bytes:
    order = np.lexsort((*atoms.positions.T, atoms.numbers))
    digest = blake2b(str(seed).encode(), digest_size=16)
    # Adding 0 makes -0 and 0 the same bytes.
    for array in (atoms.numbers[order], atoms.pbc, atoms.positions[order] + 0.0, atoms.cell.array + 0.0):
        digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
    return digest.digest()


def _apportion(number: int, sizes: Mapping[str, int]) -> dict[str, int]:
    """Divide a number in proportion to sizes."""
    total = sum(sizes.values())
    if total == 0:
        return {}
    names = sorted(sizes)
    return dict(zip(names, round_to_sum([number * sizes[name] / total for name in names], number), strict=True))


def _draw(groups: list[Group], quota: int, test: set[int]) -> list[Group]:
    """Add groups to `test` up to a quota of structures, leaving at least one group; return the groups not drawn."""
    remaining = []
    in_train = len(groups)
    for group in groups:
        if len(group) <= quota and in_train > 1:
            test.update(group)
            quota -= len(group)
            in_train -= 1
        else:
            remaining.append(group)
    return remaining
