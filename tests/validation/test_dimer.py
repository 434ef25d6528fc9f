"""Energy curves of dimers."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.emt import EMT

from aiida_mlip_autopipec.config.schemas.validation import ValidationLimits
from aiida_mlip_autopipec.validation.checks import compare
from aiida_mlip_autopipec.validation.dimer import Dimers

from .conftest import Measure, labelled


def test_curve_is_relative_to_free_atoms(measure: Measure) -> None:
    (curve,) = measure(Dimers(["Cu"])).curves
    for x, y in zip(curve.x, curve.y, strict=True):
        dimer = Atoms("Cu2", positions=[[0, 0, 0], [0, 0, x]])
        dimer.calc = EMT()
        assert y == pytest.approx(dimer.get_potential_energy() - 2 * 3.51, abs=1e-6)
    assert 1.3 < curve.x[0] < curve.x[np.argmin(curve.y)] < curve.x[-1] < 7


def test_every_pair_has_a_curve(measure: Measure) -> None:
    assert {curve.name for curve in measure(Dimers(["Al", "Cu"])).curves} == {"Al-Al", "Al-Cu", "Cu-Cu"}


def test_at_most_half_of_the_labels_may_be_missing() -> None:
    dimers = Dimers(["Cu"])
    labels = labelled(dimers.structures())
    rest = {name: atoms for name, atoms in labels.items() if name != "Cu-Cu dimer 0"}
    limits = ValidationLimits()
    (check,) = compare(dimers.measure(labels), dimers.measure(rest), limits)
    assert check.passed and check.deviation == 0
    # Distances without a prediction of the potential fail the check.
    (check,) = compare(dimers.measure(rest), dimers.measure(labels), limits)
    assert not check.passed
    del rest["Cu atom"]
    (check,) = compare(dimers.measure(labels), dimers.measure(rest), limits)
    assert not check.passed and "have no label" in str(check.reason)
