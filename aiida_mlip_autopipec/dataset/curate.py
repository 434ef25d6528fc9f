"""From labelled structures to a dataset: refuse what is faulty, find duplicates, divide into train and test."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast, get_args

from ase import Atoms

from ..config.schemas.curation import CurationConfig
from .fingerprint import find_duplicates, is_free_atom
from .quality import find_faults
from .split import Split, split_by_groups


@dataclass(frozen=True)
class Curation:
    """What was kept of some labelled structures.

    :ivar indices: of the structures kept, in the order of the input.
    :ivar splits: `train` or `test` for each of them.
    :ivar groups: for each of them the number of its group of equal structures; a group stands on one side of the split.
    :ivar report: ready for JSON. The numbers `n_input`, `n_kept`, `n_train`, `n_test`, `rejected` (by reason),
        `test_equal_to_train` and `contradicting_labels`; `families`, with their numbers of `train` and `test`;
        `rejections`, a list of `index`, `reason`, `detail` and, for a duplicate, `kept_instead`; `contradictions`, a
        list of `index`, `equal_to` and `energy_difference_eV_per_atom`.
    """

    indices: tuple[int, ...]
    splits: tuple[Split, ...]
    groups: tuple[int, ...]
    report: dict[str, Any]


def curate(structures: Sequence[Atoms], config: CurationConfig, *, test_fraction: float, seed: int) -> Curation:
    """Choose which labelled structures make a dataset, and divide them into train and test.

    Of equal structures the first is kept; but a free atom is kept rather than a larger cell equal to it, since
    reference energies rest on it. Free atoms always train. The rest is divided by :func:`~.split.split_by_groups`.
    Equal structures whose energies differ are refused no more than others, but the report counts them: they hint at a
    sick oracle.

    If every structure says in ``atoms.info["split"]`` on which side it stands, that division is kept instead, and only
    structures to train on are ever duplicates: a given test part stays whole, so that its errors can be compared with those
    that others publish. The report says how many to test on are equal to one to train on.

    :param structures: with labels in ``atoms.calc.results``, see :func:`~.quality.label_fault`, and their family in
        ``atoms.info["family"]``. They are not changed.
    :param test_fraction: part of the kept structures to test on, 0 <= test_fraction < 1.
    :raises ValueError: if the test fraction is out of range. Faulty structures raise nothing: they are in the report.
    """
    faults = find_faults(structures, config)
    sound = [index for index in range(len(structures)) if index not in faults]
    duplicates = find_duplicates([structures[index] for index in sound], config.duplicates)
    group_of = dict(zip(sound, duplicates.group.tolist(), strict=True))
    given = _given_splits(structures)
    if given is None:
        equal_to = {
            sound[place]: sound[representative]
            for place, representative in enumerate(duplicates.representative.tolist())
            if representative != place
        }
    else:
        equal_to = _equal_in_train(sound, group_of, given)
    indices = [index for index in sound if not (config.remove_duplicates and index in equal_to)]
    groups = [group_of[index] for index in indices]
    if given is None:
        splits = split_by_groups(
            [structures[index] for index in indices],
            groups,
            [is_free_atom(structures[index], config.duplicates) for index in indices],
            test_fraction=test_fraction,
            seed=seed,
        )
    else:
        splits = [given[index] for index in indices]
    trained = {group for group, split in zip(groups, splits, strict=True) if split == "train"}
    rejections: list[dict[str, Any]] = [
        {"index": index, "reason": fault.reason, "detail": fault.detail} for index, fault in faults.items()
    ]
    if config.remove_duplicates:
        rejections += [_duplicate(index, original, structures) for index, original in equal_to.items()]
    rejections.sort(key=lambda rejection: rejection["index"])
    contradictions = _contradictions(equal_to, structures, config)
    report = {
        "n_input": len(structures),
        "n_kept": len(indices),
        "n_train": splits.count("train"),
        "n_test": splits.count("test"),
        "rejected": dict(sorted(Counter(rejection["reason"] for rejection in rejections).items())),
        "test_equal_to_train": sum(
            split == "test" and group in trained for group, split in zip(groups, splits, strict=True)
        ),
        "contradicting_labels": len(contradictions),
        "families": _families([structures[index] for index in indices], splits),
        "rejections": rejections,
        "contradictions": contradictions,
    }
    return Curation(tuple(indices), tuple(splits), tuple(groups), report)


def _given_splits(structures: Sequence[Atoms]) -> list[Split] | None:
    """Return the side each structure says it stands on; None if not every one says so."""
    if not all("split" in atoms.info for atoms in structures):
        return None
    splits: list[Split] = []
    for index, atoms in enumerate(structures):
        said = str(atoms.info["split"])
        if said not in get_args(Split):
            raise ValueError(f"structure {index}: info['split'] is '{said}'; allowed: {', '.join(get_args(Split))}")
        splits.append(cast(Split, said))
    return splits


def _equal_in_train(indices: Sequence[int], group_of: Mapping[int, int], splits: Sequence[Split]) -> dict[int, int]:
    """Return for each structure to train on that has an equal one before it the first of those."""
    first: dict[int, int] = {}
    equal_to = {}
    for index in indices:
        if splits[index] == "train":
            original = first.setdefault(group_of[index], index)
            if original != index:
                equal_to[index] = original
    return equal_to


def _energy_difference(index: int, original: int, structures: Sequence[Atoms]) -> float:
    energies = [float(structures[which].calc.results["energy"]) / len(structures[which]) for which in (index, original)]
    return energies[0] - energies[1]


def _duplicate(index: int, original: int, structures: Sequence[Atoms]) -> dict[str, Any]:
    difference = 1000.0 * _energy_difference(index, original, structures)
    detail = f"equal to structure {original}, which is kept instead; energies differ by {difference:+.3g} meV/atom"
    return {"index": index, "reason": "duplicate", "detail": detail, "kept_instead": original}


def _contradictions(
    equal_to: dict[int, int], structures: Sequence[Atoms], config: CurationConfig
) -> list[dict[str, Any]]:
    differences = {index: _energy_difference(index, original, structures) for index, original in equal_to.items()}
    return [
        {"index": index, "equal_to": equal_to[index], "energy_difference_eV_per_atom": difference}
        for index, difference in differences.items()
        if abs(difference) > config.label_agreement
    ]


def _families(structures: Sequence[Atoms], splits: Sequence[Split]) -> dict[str, dict[str, int]]:
    families: dict[str, dict[str, int]] = defaultdict(lambda: {"train": 0, "test": 0})
    for atoms, split in zip(structures, splits, strict=True):
        families[str(atoms.info.get("family", "unknown"))][split] += 1
    return dict(sorted(families.items()))
