"""Quantities and curves of a property, by the potential or by the oracle."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from ase import Atoms

Labels = Mapping[str, Atoms]
"""Labelled structures by name; structures with failed labels are missing."""

CurveKind = Literal["equation_of_state", "dimer", "phonons", "md"]


class NotMeasurableError(ValueError):
    """A quantity cannot be computed from the labels; the message is the reason."""


class UndefinedError(NotMeasurableError):
    """A crystal has no such quantity: it has no energy minimum, or is unstable; the message is the reason."""


@dataclass(frozen=True)
class Quantity:
    """A quantity that is computed from the labels of the potential and from those of the oracle.

    :param kind: name of its limit in `ValidationLimits`.
    :param structure: name of the structure that it belongs to.
    :param name: name of the quantity, such as C11.
    :param value: NaN if it cannot be computed from the labels; then `reason` is set.
    :param scale: divisor of a relative deviation, by default the absolute value.
    :param curve: (n,) if given, the deviation is the root mean square deviation of the curves at the points where the curve of
        the oracle is at most `ceiling`.
    :param undefined: whether the quantity is not defined for the crystal, for the given `reason`; the value may be finite.
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
    undefined: bool = False


@dataclass(frozen=True)
class Curve:
    """A curve by the potential or by the oracle: values `y` (n,) at the points `x` (n,)."""

    name: str
    kind: CurveKind
    x_label: str
    y_label: str
    x: np.ndarray
    y: np.ndarray


@dataclass
class Measurement:
    """Quantities and curves by the potential or by the oracle."""

    quantities: list[Quantity] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)

    def extend(self, other: Measurement) -> None:
        """Append the quantities and curves of another measurement."""
        self.quantities += other.quantities
        self.curves += other.curves


class Property(Protocol):
    """A property: structures that potential and oracle label, and the quantities computed from the labels."""

    def structures(self) -> dict[str, Atoms]:
        """Return the structures by name; names are unique among all properties."""
        ...

    def measure(self, labels: Labels) -> Measurement:
        """Return quantities and curves from labels; a quantity that cannot be computed is NaN, with the reason."""
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
