"""Labelled structures of the user's own, made ready to become nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ase import Atoms

from .quality import label_fault
from .split import Split
from .trajectory import attach_labels

FAMILY_KEYS = ("family", "group", "config_type")
"""Entries of ``atoms.info`` by which data from elsewhere tell the kind of a structure, the first that is there counts."""

LABELS = ("energy", "forces", "stress")


def intake(structures: Sequence[Atoms], origin: str, split: Split | None = None) -> list[Atoms]:
    """Return copies of labelled structures that hold what a dataset needs, and nothing else.

    :param origin: where they come from, for errors.
    :param split: the side all of them stand on; if not given, what they say in ``atoms.info["split"]`` is kept.
    :raises ValueError: if a structure has no energy or forces, or of the wrong shape, naming it.
    """
    taken = []
    for index, atoms in enumerate(structures):
        fault = label_fault(atoms)
        if fault is not None and fault.reason != "non_finite":
            raise ValueError(f"{origin}: structure {index} ({atoms.get_chemical_formula()}): {fault.detail}")
        copy = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
        copy.info = {"family": _family(atoms.info), **_split(atoms.info, split)}
        results = {name: atoms.calc.results[name] for name in LABELS if atoms.calc.results.get(name) is not None}
        taken.append(attach_labels(copy, results))
    if split is None and any("split" in atoms.info for atoms in taken):
        for atoms in taken:
            atoms.info.setdefault("split", "train")
    return taken


def _family(info: dict[str, Any]) -> str:
    return next((str(info[key]) for key in FAMILY_KEYS if isinstance(info.get(key), str)), "unknown")


def _split(info: dict[str, Any], split: Split | None) -> dict[str, str]:
    said = split or info.get("split")
    return {} if said is None else {"split": str(said)}
