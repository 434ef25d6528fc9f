"""Liquid and melting."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from aiida_mlip_autopipec.properties.dynamics import block_error, estimated_melting_point
from aiida_mlip_autopipec.properties.liquid import Liquid, grown, radial_distribution
from aiida_mlip_autopipec.properties.melting import Melting

from .conftest import settings, values_of


def test_the_radial_distribution_of_a_gas_is_one() -> None:
    random = np.random.default_rng(1)
    gas = Atoms("Ar500", positions=random.uniform(0, 20, (500, 3)), cell=[20] * 3, pbc=True)
    g = radial_distribution(gas, 9.0)
    assert np.mean(g[100:]) == pytest.approx(1, abs=0.03)


def test_estimate_of_the_melting_point(crystals: dict[str, Atoms]) -> None:
    assert 300 < estimated_melting_point(crystals["Al fcc"], EMT()) < 1500


def test_errors_of_correlated_values() -> None:
    assert block_error(np.ones(100)) == 0
    assert block_error(np.linspace(0, 1, 100)) > 0.1


def test_a_supercell_grows_along_its_shortest_vector() -> None:
    cell = grown(bulk("Cu", cubic=True), 30)
    assert len(cell) == 32 and np.ptp(cell.cell.lengths()) == 0


def test_a_liquid(crystals: dict[str, Atoms]) -> None:
    item = Liquid(settings(Liquid, atoms=32, steps=120, timestep=4.0))
    values, result = values_of(item, crystals)
    assert 1.8 < values["density"] < 2.8 and 2.4 < values["first peak of g(r)"] < 3.2
    assert result.values[1].error > 0


@pytest.mark.slow
def test_melting_point_by_coexistence(crystals: dict[str, Atoms]) -> None:
    item = Melting(settings(Melting, atoms=256, steps=3000, timestep=4.0, temperature=600.0))
    values, result = values_of(item, crystals)
    # A small cell: the melting point of aluminium by effective medium theory is about 620 K in the literature.
    assert 400 < values["melting point"] < 900 and 0.15 < values["crystalline fraction at the end"] < 0.85
    assert result.values[0].error > 0
