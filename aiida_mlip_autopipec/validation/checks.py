"""From what both sides say to deviations, limits and verdicts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..config.schemas.validation import ValidationLimits
from .measurement import Curve, Measurement, Quantity

RELATIVE = frozenset(
    {"lattice_constant", "bulk_modulus", "cohesive_energy", "elastic_constant", "surface_energy", "phonon_frequency"}
)
"""Kinds of check whose deviation is a part of the oracle's value; that of others has the unit of the quantity."""

ONE_SIDED = frozenset({"imaginary_frequency"})
"""Kinds of check in which only what the potential has below the oracle counts, and only as far as it is below zero."""


@dataclass(frozen=True)
class Check:
    """A verdict. `potential` and `oracle` are in `unit`; `deviation` and `limit` too, unless `name` is in :data:`RELATIVE`.

    :param name: the name of the limit in `ValidationLimits`.
    :param oracle: None where the oracle has no say, as in dynamics.
    """

    name: str
    structure: str | None
    quantity: str
    unit: str
    potential: float | None
    oracle: float | None
    deviation: float | None
    limit: float | None
    passed: bool
    reason: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain values; what is not finite is None."""
        return {key: _plain(value) for key, value in vars(self).items()}


def compare(potential: Measurement, oracle: Measurement, limits: ValidationLimits) -> list[Check]:
    """Return a verdict for each quantity, in their order.

    :param potential: what the potential says.
    :param oracle: what the oracle says on the same structures.
    """
    return [
        _check(mine, theirs, getattr(limits, mine.kind))
        for mine, theirs in zip(potential.quantities, oracle.quantities, strict=True)
    ]


def _check(potential: Quantity, oracle: Quantity, limit: float) -> Check:
    deviation = _deviation(potential, oracle)
    passed = math.isfinite(deviation) and abs(deviation) <= limit
    return Check(
        potential.kind,
        potential.structure,
        potential.name,
        potential.unit,
        potential.value,
        oracle.value,
        deviation,
        limit,
        passed,
        None if passed else _reason(potential, oracle, deviation, limit),
    )


def _deviation(potential: Quantity, oracle: Quantity) -> float:
    if not (math.isfinite(potential.value) and math.isfinite(oracle.value)):
        return math.nan
    if potential.curve is not None and oracle.curve is not None:
        counted = oracle.curve <= oracle.ceiling
        difference = potential.curve[counted] - oracle.curve[counted]
        error = float(np.sqrt(np.mean(difference**2))) if counted.any() else math.nan
        return error / oracle.scale if oracle.scale else error
    if oracle.kind in ONE_SIDED:
        return min(0.0, min(0.0, potential.value) - min(0.0, oracle.value))
    difference = potential.value - oracle.value
    if oracle.kind not in RELATIVE:
        return difference
    scale = oracle.scale if oracle.scale is not None else abs(oracle.value)
    return difference / scale if scale else math.nan


def _reason(potential: Quantity, oracle: Quantity, deviation: float, limit: float) -> str:
    sides = (("potential", potential.reason), ("oracle", oracle.reason))
    said = [f"{side}: {reason}" for side, reason in sides if reason]
    if said:
        return "; ".join(said)
    if not math.isfinite(deviation):
        return "the values are not finite"
    if potential.kind in RELATIVE:
        return f"off by {abs(deviation):.1%}, more than {limit:.1%}"
    return f"off by {abs(deviation):.4g} {potential.unit}, more than {limit:.4g}"


def within(
    name: str, structure: str, quantity: str, unit: str, value: float, limit: float, *, at_least: bool = False
) -> Check:
    """Return the verdict on a number of the potential alone.

    :param at_least: whether the number must be at least the limit, else at most in size.
    """
    passed = math.isfinite(value) and (value >= limit if at_least else abs(value) <= limit)
    wanted = "less" if at_least else "more"
    reason = None if passed else f"{value:.4g} {unit} is {wanted} than {limit:.4g}".replace("  ", " ")
    return Check(name, structure, quantity, unit, value, None, value, limit, passed, reason)


def merge_curves(potential: Sequence[Curve], oracle: Sequence[Curve]) -> list[dict[str, Any]]:
    """Return the curves of both sides by name, as plain values; points that are not finite are None.

    A curve that only the potential has is without the oracle's; one that only the oracle has is left out.
    """
    theirs = {(curve.kind, curve.name): curve for curve in oracle}
    merged = []
    for curve in potential:
        twin = theirs.get((curve.kind, curve.name))
        merged.append(
            {
                "name": curve.name,
                "kind": curve.kind,
                "x_label": curve.x_label,
                "y_label": curve.y_label,
                "x": _plain_list(curve.x),
                "potential": _plain_list(curve.y),
                "oracle": None if twin is None else _plain_list(twin.y),
            }
        )
    return merged


def _plain(value: Any) -> Any:
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    return value


def _plain_list(values: np.ndarray) -> list[float | None]:
    return [_plain(float(value)) for value in values]
