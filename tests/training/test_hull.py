"""Energies above the convex hull of the training data."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given
from hypothesis import strategies as st
from mlip_train.hull import energies_above_hull


def above(*phases: tuple[str, float]) -> list[float]:
    """Return the energies above the hull of formulas with total energies (eV)."""
    structures = [Atoms(formula) for formula, _ in phases]
    return energies_above_hull(structures, np.array([energy for _, energy in phases])).round(9).tolist()


def test_compounds_and_mixtures_of_elements() -> None:
    # The line between Ni and NiAl is at -1.5 eV/atom for Ni3Al.
    assert above(("Ni", -1.0), ("Ni2", -1.0), ("Al", 0.0), ("NiAl", -4.0), ("Ni3Al", -5.2), ("Al3Ni", -2.0)) == [
        0.0, 0.5, 0.0, 0.0, 0.2, 0.5,
    ]  # fmt: skip


def test_structures_of_one_composition_are_compared_with_the_lowest() -> None:
    assert above(("H2O", -9.0), ("H2O", -6.0), ("H4O2", -18.6)) == [0.1, 1.1, 0.0]


def test_no_structures() -> None:
    assert energies_above_hull([], np.zeros(0)).shape == (0,)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 3), st.floats(-9, 9)), min_size=1))
def test_no_structure_is_below_the_hull_and_references_cancel(found: list[tuple[int, int, int, float]]) -> None:
    structures = [Atoms(f"Al{al}Ni{ni}Pt{pt}") for al, ni, pt, _ in found]
    energies = np.array([energy for *_, energy in found])
    shifts = np.array([30.0 * al - 200.0 * ni + 5.0 * pt for al, ni, pt, _ in found])
    heights = energies_above_hull(structures, energies)
    assert (heights > -1e-6).all() and heights.min() < 1e-6
    assert energies_above_hull(structures, energies + shifts) == pytest.approx(heights, abs=1e-5)
