"""From labelled structures to a dataset: reject faulty ones, find duplicates, divide into train and test."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast, get_args

from ase import Atoms
from ase.data import covalent_radii

from ..config.schemas.curation import CurationConfig
from .contradictions import energy_contradictions, energy_difference, force_contradictions
from .fingerprint import is_free_atom, shortest_distances
from .plausibility import find_issues, issues_report
from .quality import find_faults
from .split import Split, split_by_groups


@dataclass(frozen=True)
class Curation:
    """Result of the curation of labelled structures.

    :ivar indices: of the structures kept, in the order of the input.
    :ivar splits: `train` or `test` for each of them.
    :ivar groups: for each of them the number of its group of equal structures; a group is never divided by the split.
    :ivar report: ready for JSON. The numbers `n_input`, `n_kept`, `n_train`, `n_test`, `rejected` (by reason),
        `test_equal_to_train` and `contradicting_labels`; `families`, with their numbers of `train` and `test`;
        `rejections`, a list of `index`, `reason`, `detail` and, for a duplicate, `kept_instead`; `plausibility`,
        a list of the implausible labels that :mod:`.plausibility` finds, each with `check`, `message` and `cause`;
        `contradictions`, a list of `index`, `equal_to` and `energy_difference_eV_per_atom`; `force_contradictions`, the same
        of forces, with `largest_force_difference_eV_per_A` and `rms_force_difference_eV_per_A`.
    """

    indices: tuple[int, ...]
    splits: tuple[Split, ...]
    groups: tuple[int, ...]
    report: dict[str, Any]


def curate(structures: Sequence[Atoms], config: CurationConfig, *, test_fraction: float, seed: int) -> Curation:
    """Select the labelled structures of a dataset and divide them into train and test.

    Of equal structures the first is kept; but a free atom is preferred to a larger cell equal to it, because it gives
    the reference energy. Free atoms are always in train, and with `extremes_in_train` so are generated dimers and, for each
    pair of elements, the structure with the shortest distance. The other structures are divided by
    :func:`~.split.split_by_groups`. Equal structures with different energies or forces are not rejected for that, but the
    report lists them: they indicate errors of the oracle.

    If every structure has ``atoms.info["split"]``, that split is kept instead, and only training structures are removed
    as duplicates: a given test part stays complete, so that its errors can be compared with published ones. The report
    counts the test structures that are equal to a training structure.

    :param structures: with labels in ``atoms.calc.results``, see :func:`~.quality.label_fault`, and their family in
        ``atoms.info["family"]``. They are not changed.
    :param test_fraction: fraction of the kept structures in the test part, 0 <= test_fraction < 1.
    :raises ValueError: if the test fraction is out of range. Faulty structures do not raise: the report lists them.
    """
    from .duplicates import find_duplicates

    faults = find_faults(structures, config)
    valid = [index for index in range(len(structures)) if index not in faults]
    duplicates = find_duplicates([structures[index] for index in valid], config.duplicates)
    group_of = dict(zip(valid, duplicates.group.tolist(), strict=True))
    given = _given_splits(structures)
    if given is None:
        equal_to = {
            valid[place]: valid[representative]
            for place, representative in enumerate(duplicates.representative.tolist())
            if representative != place
        }
    else:
        equal_to = _equal_in_train(valid, group_of, given)
    indices = [index for index in valid if not (config.remove_duplicates and index in equal_to)]
    groups = [group_of[index] for index in indices]
    if given is None:
        kept = [structures[index] for index in indices]
        extremes = _extremes(kept) if config.extremes_in_train else set()
        to_train = [place in extremes or is_free_atom(atoms, config.duplicates) for place, atoms in enumerate(kept)]
        splits = split_by_groups(kept, groups, to_train, test_fraction=test_fraction, seed=seed)
    else:
        splits = [given[index] for index in indices]
    train_groups = {group for group, split in zip(groups, splits, strict=True) if split == "train"}
    rejections: list[dict[str, Any]] = [
        {"index": index, "reason": fault.reason, "detail": fault.detail} for index, fault in faults.items()
    ]
    if config.remove_duplicates:
        rejections += [_duplicate(index, original, structures) for index, original in equal_to.items()]
    rejections.sort(key=lambda rejection: rejection["index"])
    contradictions = energy_contradictions(equal_to, structures, config.label_agreement)
    report = {
        "n_input": len(structures),
        "n_kept": len(indices),
        "n_train": splits.count("train"),
        "n_test": splits.count("test"),
        "rejected": dict(sorted(Counter(rejection["reason"] for rejection in rejections).items())),
        "test_equal_to_train": sum(
            split == "test" and group in train_groups for group, split in zip(groups, splits, strict=True)
        ),
        "contradicting_labels": len(contradictions),
        "plausibility": issues_report(find_issues([structures[index] for index in indices])),
        "families": _families([structures[index] for index in indices], splits),
        "rejections": rejections,
        "contradictions": contradictions,
        "force_contradictions": force_contradictions(equal_to, structures),
    }
    return Curation(tuple(indices), tuple(splits), tuple(groups), report)


def _extremes(structures: Sequence[Atoms]) -> set[int]:
    """Return the indices of generated dimers and of the structures with the shortest distance of a pair of elements."""
    shortest: dict[tuple[int, int], tuple[float, int]] = {}
    for index, atoms in enumerate(structures):
        bond = 2.0 * float(covalent_radii[atoms.numbers].max())
        for pair, distance in shortest_distances(atoms, bond).items():
            shortest[pair] = min(shortest.get(pair, (math.inf, index)), (distance, index))
    dimers = {index for index, atoms in enumerate(structures) if atoms.info.get("family") == "dimer"}
    return dimers | {index for _, index in shortest.values()}


def _given_splits(structures: Sequence[Atoms]) -> list[Split] | None:
    """Return the split given in the info of the structures; None if a structure has none."""
    if not all("split" in atoms.info for atoms in structures):
        return None
    splits: list[Split] = []
    for index, atoms in enumerate(structures):
        value = str(atoms.info["split"])
        if value not in get_args(Split):
            raise ValueError(f"structure {index}: info['split'] is '{value}'; allowed: {', '.join(get_args(Split))}")
        splits.append(cast(Split, value))
    return splits


def _equal_in_train(indices: Sequence[int], group_of: Mapping[int, int], splits: Sequence[Split]) -> dict[int, int]:
    """Map each training structure that equals an earlier training structure to the first such structure."""
    first: dict[int, int] = {}
    equal_to = {}
    for index in indices:
        if splits[index] == "train":
            original = first.setdefault(group_of[index], index)
            if original != index:
                equal_to[index] = original
    return equal_to


def _duplicate(index: int, original: int, structures: Sequence[Atoms]) -> dict[str, Any]:
    difference = 1000.0 * energy_difference(index, original, structures)
    detail = f"equal to structure {original}, which is kept instead; energies differ by {difference:+.3g} meV/atom"
    return {"index": index, "reason": "duplicate", "detail": detail, "kept_instead": original}


def _families(structures: Sequence[Atoms], splits: Sequence[Split]) -> dict[str, dict[str, int]]:
    families: dict[str, dict[str, int]] = defaultdict(lambda: {"train": 0, "test": 0})
    for atoms, split in zip(structures, splits, strict=True):
        families[str(atoms.info.get("family", "unknown"))][split] += 1
    return dict(sorted(families.items()))
