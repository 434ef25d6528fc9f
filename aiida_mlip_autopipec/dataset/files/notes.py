"""Notes for the user on what a file contains and the dataset cannot use."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from ase import Atoms

from ..split import SPLIT_NAMES
from .frames import RawFrame
from .keys import energy_kinds, is_label_name

_CHARGE_NAMES = ("charge", "total_charge", "tot_charge")
"""Names of the total charge of a structure, in lower case."""


class Notes:
    """Counts of questionable labels and unused keys in a file."""

    def __init__(self) -> None:
        """Begin without structures."""
        self.n_only_energy = self.n_free_energy = self.unused_virials = self.other_splits = 0
        self.charges: Counter[float] = Counter()

    def add(self, frame: RawFrame, atoms: Atoms) -> None:
        """Count a structure.

        :param frame: as in the file.
        :param atoms: the structure with its labels.
        """
        has_energy, differs = energy_kinds(frame)
        self.n_free_energy += differs
        self.n_only_energy += (
            has_energy and not differs and not any(n.lower() == "free_energy" for n, _ in frame.values)
        )
        results = atoms.calc.results if atoms.calc is not None else {}
        has_virial = any(is_label_name(name) and "virial" in name.lower() for name, _ in frame.values)
        self.unused_virials += has_virial and "stress" not in results
        self.other_splits += _has_other_split(atoms)
        charge = _charge(frame)
        if charge is not None:
            self.charges[charge] += 1

    def lines(self) -> tuple[str, ...]:
        """Return one line for each note."""
        lines = []
        if self.n_free_energy and self.n_only_energy:
            lines.append(
                f"{self.n_free_energy} structures have a free_energy that differs from their energy; it is used, "
                f"because the forces are its derivative. {self.n_only_energy} have only an energy: check that both are "
                "the same quantity"
            )
        if self.unused_virials:
            lines.append(
                f"{self.unused_virials} structures have a virial that is not used, because their cell has no volume"
            )
        if self.other_splits:
            lines.append(
                f"{self.other_splits} structures have the key 'set', which is not used: name it 'split' (split=train, "
                "split=test) if it divides them into training and test structures"
            )
        if any(self.charges):
            listed = ", ".join(f"{count} with {charge:+g}" for charge, count in sorted(self.charges.items()) if charge)
            lines.append(
                f"charged structures ({listed}): the potential knows no charge, and gives structures of different "
                "charges the same energy; fit only structures of one charge"
            )
        return tuple(lines)


def _has_other_split(atoms: Atoms) -> bool:
    value = atoms.info.get("set")
    return "split" not in atoms.info and isinstance(value, str) and value.strip().lower() in SPLIT_NAMES


def _charge(frame: RawFrame) -> float | None:
    """Return the total charge of a structure in units of the elementary charge; None if it is not given."""
    given = (value for name, value in frame.values if name.lower() in _CHARGE_NAMES)
    return next((number for value in given if (number := _number(value)) is not None), None)


def _number(value: Any) -> float | None:
    array = np.asarray(value)
    if array.shape != () or array.dtype.kind not in "iuf" or not np.isfinite(array):
        return None
    return round(float(array), 6)
