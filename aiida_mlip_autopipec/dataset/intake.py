"""Preparation of the user's own labelled structures for storage as nodes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ase import Atoms

from .plausibility import find_issues
from .quality import label_fault
from .repair import FAMILY_KEYS, UnusableError, repair, repair_all
from .split import SPLIT_NAMES, Split
from .trajectory import attach_labels

logger = logging.getLogger(__name__)

LABELS = ("energy", "forces", "stress")

_MAX_LISTED = 5
"""Maximum number of frames that a message lists; the rest is counted."""


def intake(
    structures: Sequence[Atoms],
    origin: str,
    split: Split | None = None,
    warn: Callable[[str], object] = logger.warning,
) -> list[Atoms]:
    """Return repaired copies of labelled structures that hold only what a dataset needs.

    :param origin: where they come from, for messages.
    :param split: the part of the split of all structures; by default that in their ``atoms.info["split"]``, if any.
    :param warn: called with one line for each kind of repair: the number of structures and the first frames.
    :raises ValueError: if a structure has no energy or forces, or cannot be used; the message gives the number of such
        structures and the reasons for the first ones.
    """
    prepared: list[Atoms] = []
    rejected: dict[int, str] = {}
    changes: dict[str, list[int]] = {}
    for index, atoms in enumerate(structures):
        try:
            copy, changed = _prepared(atoms, split)
        except ValueError as error:
            rejected[index] = str(error)
            continue
        prepared.append(copy)
        for change in changed:
            changes.setdefault(change, []).append(index)
    if rejected:
        raise ValueError(f"{origin}: {_format_rejected(rejected, structures)}")
    if split is None and any("split" in atoms.info for atoms in prepared):
        for index, atoms in enumerate(prepared):
            if "split" not in atoms.info:
                atoms.info["split"] = "train"
                changes.setdefault("no 'split', although others have one: used for training", []).append(index)
    for line in count_changes(changes, len(prepared)):
        warn(f"{origin}: {line}")
    return prepared


def check_stored(structures: Sequence[Atoms], origin: str) -> list[str]:
    """Return a line for each repair that the curation of stored structures will make, and for each implausible label.

    :param origin: where they come from, for messages.
    :raises ValueError: if some cannot be used; the message gives their number and the reasons for the first ones.
    """
    faults = {
        index: fault.detail for index, atoms in enumerate(structures) if (fault := label_fault(atoms)) is not None
    }
    repaired, changes, unusable = repair_all(structures)
    rejected = dict(sorted({**unusable, **faults}.items()))
    if rejected:
        raise ValueError(f"{origin}: {_format_rejected(rejected, structures)}")
    lines = [*count_changes(changes, len(structures)), *map(str, find_issues(repaired))]
    return [f"{origin}: {line}" for line in lines]


def count_changes(changes: Mapping[str, Sequence[int]], n_structures: int) -> list[str]:
    """Return a line for each kind of change, with the number of structures and the first of them.

    :param changes: the indices of the structures by kind of change.
    """
    return [
        f"{len(indices)} of {n_structures} structures: {change} "
        f"(frame{'s' if len(indices) > 1 else ''} {_format_indices(indices)})"
        for change, indices in changes.items()
    ]


def _format_indices(indices: Sequence[int]) -> str:
    more = f" and {len(indices) - _MAX_LISTED} more" if len(indices) > _MAX_LISTED else ""
    return ", ".join(map(str, indices[:_MAX_LISTED])) + more


def _format_rejected(rejected: Mapping[int, str], structures: Sequence[Atoms]) -> str:
    listed = list(rejected.items())[:_MAX_LISTED]
    parts = [f"frame {index} ({_formula(structures[index])}): {reason}" for index, reason in listed]
    more = [f"and {len(rejected) - _MAX_LISTED} more"] if len(rejected) > _MAX_LISTED else []
    counted = f"{len(rejected)} of {len(structures)} structures cannot be used"
    return f"{counted}: {'; '.join([*parts, *more])}"


def _formula(atoms: Atoms) -> str:
    try:
        return str(atoms.get_chemical_formula()) or "no atoms"
    except IndexError:  # an atomic number beyond the periodic table
        return f"{len(atoms)} atoms"


def _prepared(atoms: Atoms, split: Split | None) -> tuple[Atoms, list[str]]:
    fault = label_fault(atoms)
    if fault is not None:
        raise UnusableError(fault.detail)
    copy = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    copy.info = {key: atoms.info[key] for key in FAMILY_KEYS if isinstance(atoms.info.get(key), str)}
    attach_labels(copy, {name: atoms.calc.results[name] for name in LABELS if atoms.calc.results.get(name) is not None})
    repaired = repair(copy)
    part, change = _split_entry(atoms.info, split)
    repaired.atoms.info = {"family": _family(atoms.info), **part}
    return repaired.atoms, [*repaired.changes, *change]


def _family(info: Mapping[str, Any]) -> str:
    return next((str(info[key]) for key in FAMILY_KEYS if isinstance(info.get(key), str)), "unknown")


def _split_entry(info: Mapping[str, Any], split: Split | None) -> tuple[dict[str, str], list[str]]:
    """Return the `split` entry of a structure, empty if unknown, and the changes made to it."""
    given = info.get("split")
    if split is not None:
        return {"split": split}, []
    if given is None:
        return {}, []
    part = SPLIT_NAMES.get(given.strip().lower()) if isinstance(given, str) else None
    if part is None:
        raise UnusableError(f"split is {given!r:.40}; allowed: {', '.join(SPLIT_NAMES)}")
    return {"split": part}, [] if given == part else [f"split={given!s:.40}, taken as {part}"]
