"""What one side, the potential or the oracle, says about a property."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from ase import Atoms

Labels = Mapping[str, Atoms]
"""Labelled structures by name; what could not be labelled is missing."""

CurveKind = Literal["equation_of_state", "dimer", "phonons", "md"]


class NotMeasurableError(ValueError):
    """A quantity does not follow from the labels; the message says why."""


@dataclass(frozen=True)
class Quantity:
    """A number that both sides have.

    :param kind: the name of its limit in `ValidationLimits`.
    :param structure: what it is a property of.
    :param name: what it is, such as C11.
    :param value: NaN if it does not follow from the labels; then `reason` says why.
    :param scale: what a relative deviation is a part of; the value's size if not given.
    :param curve: if given, the deviation is the root mean square of that of the curves, at the points where the oracle's is
        at most `ceiling`.
    """

    kind: str
    structure: str
    name: str
    unit: str
    value: float
    reason: str | None = None
    scale: float | None = None
    curve: np.ndarray | None = None
    ceiling: float = math.inf


@dataclass(frozen=True)
class Curve:
    """One side of a curve: `y` at the points `x`, both of the same length."""

    name: str
    kind: CurveKind
    x_label: str
    y_label: str
    x: np.ndarray
    y: np.ndarray


@dataclass
class Measurement:
    """All that one side says about a property."""

    quantities: list[Quantity] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)

    def extend(self, other: Measurement) -> None:
        """Add what was measured elsewhere."""
        self.quantities += other.quantities
        self.curves += other.curves


class Property(Protocol):
    """A property: structures that are labelled by both sides, and what follows from the labels of either."""

    def structures(self) -> dict[str, Atoms]:
        """Return the structures by name; names are unique over all properties."""
        ...

    def measure(self, labels: Labels) -> Measurement:
        """Return what follows from the labels of one side; what does not is NaN, with the reason."""
        ...


def label_of(labels: Labels, name: str) -> Atoms:
    """Return a labelled structure.

    :raises NotMeasurableError: if it has no label.
    """
    atoms = labels.get(name)
    if atoms is None or not math.isfinite(atoms.get_potential_energy()):
        raise NotMeasurableError(f"'{name}' has no label")
    return atoms


def energy_of(labels: Labels, name: str) -> float:
    """Return the energy (eV) of a structure.

    :raises NotMeasurableError: if it has no label.
    """
    return float(label_of(labels, name).get_potential_energy())


def energy_per_atom(labels: Labels, name: str) -> float:
    """Return the energy (eV/atom) of a structure.

    :raises NotMeasurableError: if it has no label.
    """
    atoms = label_of(labels, name)
    return float(atoms.get_potential_energy()) / len(atoms)


def energy_or_nan(labels: Labels, name: str) -> float:
    """Return the energy (eV) of a structure, NaN if it has no label."""
    try:
        return energy_of(labels, name)
    except NotMeasurableError:
        return math.nan
