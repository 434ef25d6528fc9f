"""Phonon frequencies, compared with those of ASE."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.phonons import Phonons as AsePhonons

from aiida_mlip_autopipec.validation.crystals import ValidationCrystal
from aiida_mlip_autopipec.validation.phonons import Phonons

from .conftest import Measure, values_of


def test_the_zone_boundary_of_copper(
    copper_crystals: dict[str, ValidationCrystal], measure: Measure, tmp_path: Path
) -> None:
    crystal = copper_crystals["fcc"]
    measurement = measure(Phonons(crystal, max_atoms=32))
    (at_boundary,) = [quantity for quantity in measurement.quantities if quantity.name == "highest at X"]
    ase = AsePhonons(
        bulk("Cu", a=crystal.lattice_constant), EMT(), supercell=(4, 4, 4), delta=0.02, name=str(tmp_path / "phonons")
    )
    ase.run()
    ase.read(acoustic=True)
    (at_x,) = ase.band_structure([[0.5, 0.5, 0.0]])
    thz = np.sort(at_x) / (units._hplanck / units._e * 1e12)
    assert at_boundary.curve == pytest.approx(thz, rel=0.02)
    assert values_of(measurement)["Cu fcc lowest frequency"] == pytest.approx(0, abs=0.05)
    assert len(measurement.curves) == 3


def test_a_crystal_that_is_not_stable_has_imaginary_frequencies(
    copper_crystals: dict[str, ValidationCrystal], measure: Measure
) -> None:
    assert values_of(measure(Phonons(copper_crystals["sc"], max_atoms=32)))["Cu sc lowest frequency"] < -0.5


@pytest.mark.parametrize(("prototype", "n_atoms"), [("fcc", 32), ("bcc", 16), ("hcp", 16), ("diamond", 16), ("sc", 8)])
def test_supercells_are_small_and_hold_points_of_the_boundary(
    copper_crystals: dict[str, ValidationCrystal], prototype: str, n_atoms: int, measure: Measure
) -> None:
    phonons = Phonons(copper_crystals[prototype], max_atoms=32)
    assert {len(atoms) for atoms in phonons.structures().values()} == {n_atoms}
    quantities = measure(phonons).quantities
    assert {quantity.name for quantity in quantities} > {"lowest frequency"}
    assert len({quantity.name for quantity in quantities}) == len(quantities)
