"""Vacancies and surfaces, compared with larger cells."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk, fcc111
from ase.calculators.emt import EMT

from aiida_mlip_autopipec.config.schemas.validation import ValidationConfig
from aiida_mlip_autopipec.validation.crystals import ValidationCrystal
from aiida_mlip_autopipec.validation.defects import Surfaces, Vacancies
from aiida_mlip_autopipec.validation.equation_of_state import equilibrium_name

from ..conftest import label_by_emt
from .conftest import Measure, labelled, values_of


def test_vacancy_energy_in_a_small_cell_agrees_with_a_larger_one(
    copper_crystals: dict[str, ValidationCrystal], measure: Measure
) -> None:
    crystal = copper_crystals["fcc"]
    perfect = bulk("Cu", a=crystal.lattice_constant, cubic=True) * (4, 4, 4)
    perfect.calc = EMT()
    defect = perfect.copy()
    del defect[100]
    defect.calc = EMT()
    energy = defect.get_potential_energy() - (1 - 1 / len(perfect)) * perfect.get_potential_energy()
    assert values_of(measure(Vacancies(crystal, {"Cu": crystal}, 32)))["Cu fcc vacancy, unrelaxed"] == pytest.approx(
        energy, abs=0.02
    )


def test_the_surface_energy_is_that_of_a_thicker_slab(copper_crystals: dict[str, ValidationCrystal]) -> None:
    crystal = copper_crystals["fcc"]
    wanted = Surfaces(crystal, ValidationConfig())
    labels = {**labelled(wanted.structures()), equilibrium_name(crystal): label_by_emt(crystal.atoms)}
    values = values_of(wanted.measure(labels))

    def slab_energy(layers: int) -> tuple[float, float]:
        slab = fcc111("Cu", (1, 1, layers), a=crystal.lattice_constant, vacuum=10)
        slab.pbc = True
        slab.calc = EMT()
        return slab.get_potential_energy(), np.linalg.norm(np.cross(slab.cell[0], slab.cell[1]))

    (thick, area), (thicker, _) = slab_energy(16), slab_energy(20)
    energy = (thick - 16 * (thicker - thick) / 4) / (2 * area) * 16.02176634
    assert values["Cu fcc (111), unrelaxed"] == pytest.approx(energy, rel=0.01)
    assert values["Cu fcc (111), unrelaxed"] < values["Cu fcc (100), unrelaxed"] < values["Cu fcc (110), unrelaxed"]


@pytest.mark.parametrize("prototype", ["fcc", "bcc", "hcp", "sc", "diamond"])
def test_no_structure_is_larger_than_allowed(copper_crystals: dict[str, ValidationCrystal], prototype: str) -> None:
    for wanted in (
        Vacancies(copper_crystals[prototype], {"Cu": copper_crystals[prototype]}, 32),
        Surfaces(copper_crystals[prototype], ValidationConfig()),
    ):
        for atoms in wanted.structures().values():
            assert 0 < len(atoms) <= 32 and atoms.pbc.all()
