"""Deviations, limits and verdicts."""

from __future__ import annotations

import math

import numpy as np
import pytest

from aiida_mlip_autopipec.config.schemas.validation import ValidationLimits
from aiida_mlip_autopipec.validation.checks import Check, compare, merge_curves, within
from aiida_mlip_autopipec.validation.measurement import Curve, Measurement, Quantity

LIMITS = ValidationLimits()


def verdict(kind: str, potential: float, oracle: float, **of_oracle: float) -> Check:
    sides = (Quantity(kind, "Cu fcc", "q", "u", potential), Quantity(kind, "Cu fcc", "q", "u", oracle, **of_oracle))
    (check,) = compare(Measurement([sides[0]]), Measurement([sides[1]]), LIMITS)
    return check


@pytest.mark.parametrize(
    ("kind", "potential", "oracle", "deviation", "passed"),
    [
        ("lattice_constant", 3.63, 3.60, 0.00833, True),
        ("lattice_constant", 3.65, 3.60, 0.01389, False),
        ("bulk_modulus", 80.0, 100.0, -0.2, False),
        ("vacancy_formation_energy", 1.1, 1.2, -0.1, True),
        ("vacancy_formation_energy", 1.4, 1.2, 0.2, False),
        ("imaginary_frequency", -0.2, -0.1, -0.1, True),
        ("imaginary_frequency", -2.0, 0.1, -2.0, False),
        ("imaginary_frequency", 3.0, -2.0, 0.0, True),
    ],
)
def test_deviation_is_compared_with_its_limit(
    kind: str, potential: float, oracle: float, deviation: float, passed: bool
) -> None:
    check = verdict(kind, potential, oracle)
    assert check.deviation == pytest.approx(deviation, abs=1e-4)
    assert check.passed is passed
    assert check.limit == getattr(LIMITS, kind)
    assert (check.reason is None) == passed


@pytest.mark.parametrize("kind", ["lattice_constant", "vacancy_formation_energy", "imaginary_frequency"])
def test_values_that_are_not_finite_never_pass(kind: str) -> None:
    for sides in ((math.nan, 1.0), (1.0, math.nan), (math.inf, 1.0)):
        check = verdict(kind, *sides)
        assert not check.passed and check.reason
        assert None in (check.as_dict()["potential"], check.as_dict()["oracle"])


def test_deviation_of_a_small_constant_is_relative_to_the_given_scale() -> None:
    assert verdict("elastic_constant", 2.0, 1.0, scale=10.0).deviation == pytest.approx(0.1)


def test_curves_are_compared_below_an_energy_of_the_oracle() -> None:
    mine = Quantity("dimer_energy", "Cu-Cu", "lowest", "eV", -3.0, curve=np.array([900.0, -3.0, -1.2]), ceiling=2.0)
    theirs = Quantity("dimer_energy", "Cu-Cu", "lowest", "eV", -3.2, curve=np.array([50.0, -3.2, -1.0]), ceiling=2.0)
    (check,) = compare(Measurement([mine]), Measurement([theirs]), LIMITS)
    assert check.deviation == pytest.approx(0.2) and check.passed


def test_checks_of_values_without_oracle() -> None:
    assert within("energy_drift", "Cu fcc", "drift", "eV", -0.001, 0.002).passed
    assert not within("energy_drift", "Cu fcc", "drift", "eV", -0.003, 0.002).passed
    near = within("closest_approach", "Cu fcc", "closest", "", 0.3, 0.65, at_least=True)
    assert not near.passed and near.oracle is None and near.reason == "0.3 is less than 0.65"


def test_merged_curves_are_lists_with_none_for_values_that_are_not_finite() -> None:
    x, y = np.array([1.0, 2.0]), np.array([0.5, math.nan])
    mine = Curve("a", "dimer", "x", "y", x, y)
    (merged,) = merge_curves([mine], [Curve("b", "dimer", "x", "y", x, y)])
    assert merged["potential"] == [0.5, None] and merged["oracle"] is None
    assert merge_curves([mine], [mine])[0]["oracle"] == [0.5, None]
