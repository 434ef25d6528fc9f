"""Checks: deviations of the potential from the oracle, limits and verdicts."""

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
"""Kinds of check with a relative deviation; the deviation of other kinds has the unit of the quantity."""

ONE_SIDED = frozenset({"imaginary_frequency"})
"""Kinds of check in which only a negative value of the potential, below that of the oracle, is a deviation."""


@dataclass(frozen=True)
class Check:
    """A check and its verdict.

    `potential` and `oracle` are in `unit`; so are `deviation` and `limit`, unless `name` is in :data:`RELATIVE`.

    :param name: name of the limit in `ValidationLimits`.
    :param oracle: None without a value of the oracle, as in dynamics.
    :param passed: None if the quantity is not comparable, for example because the crystal is unstable by the oracle.
    """

    name: str
    structure: str | None
    quantity: str
    unit: str
    potential: float | None
    oracle: float | None
    deviation: float | None
    limit: float | None
    passed: bool | None
    reason: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return a dictionary for JSON; numbers that are not finite become None."""
        return {key: _plain(value) for key, value in vars(self).items()}


def compare(potential: Measurement, oracle: Measurement, limits: ValidationLimits) -> list[Check]:
    """Return a check of each quantity, in their order.

    :param potential: quantities by the potential.
    :param oracle: quantities by the oracle, on the same structures.
    """
    return [
        _check(predicted, reference, getattr(limits, predicted.kind))
        for predicted, reference in zip(potential.quantities, oracle.quantities, strict=True)
    ]


def _check(potential: Quantity, oracle: Quantity, limit: float) -> Check:
    deviation, passed, reason = _verdict(potential, oracle, limit)
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
        reason,
    )


def _verdict(potential: Quantity, oracle: Quantity, limit: float) -> tuple[float | None, bool | None, str | None]:
    """Return deviation, verdict and reason of a check."""
    if oracle.undefined:
        return None, None, f"not comparable: {oracle.reason}"
    deviation = _deviation(potential, oracle)
    if math.isfinite(deviation) and abs(deviation) <= limit:
        return deviation, True, None
    return deviation, False, _reason(potential, oracle, deviation, limit)


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
    reasons = [f"{side}: {reason}" for side, reason in sides if reason]
    if reasons:
        return "; ".join(reasons)
    if not math.isfinite(deviation):
        return "the values are not finite"
    if potential.kind in RELATIVE:
        return f"deviates by {100 * abs(deviation):.1f} %, more than {100 * limit:.1f} %"
    return f"deviates by {abs(deviation):.4g} {potential.unit}, more than {limit:.4g}"


def within(
    name: str, structure: str, quantity: str, unit: str, value: float, limit: float, *, at_least: bool = False
) -> Check:
    """Return a check of a value of the potential without reference.

    :param at_least: whether the value must be at least the limit; otherwise its absolute value must be at most the limit.
    """
    passed = bool(math.isfinite(value) and (value >= limit if at_least else abs(value) <= limit))
    comparison = "less" if at_least else "more"
    reason = None if passed else f"{value:.4g} {unit} is {comparison} than {limit:.4g}".replace("  ", " ")
    return Check(name, structure, quantity, unit, value, None, value, limit, passed, reason)


def merge_curves(potential: Sequence[Curve], oracle: Sequence[Curve]) -> list[dict[str, Any]]:
    """Return the curves of potential and oracle, matched by name, for JSON; points that are not finite become None.

    `oracle` is None for a curve of the potential alone; curves of the oracle alone are omitted.
    """
    references = {(curve.kind, curve.name): curve for curve in oracle}
    merged = []
    for curve in potential:
        reference = references.get((curve.kind, curve.name))
        merged.append(
            {
                "name": curve.name,
                "kind": curve.kind,
                "x_label": curve.x_label,
                "y_label": curve.y_label,
                "x": _plain_list(curve.x),
                "potential": _plain_list(curve.y),
                "oracle": None if reference is None else _plain_list(reference.y),
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
