"""Properties with defects: points, migration, stacking faults, surfaces."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import fcc111
from ase.calculators.emt import EMT

from aiida_mlip_autopipec.properties.crystals import relax_crystal
from aiida_mlip_autopipec.properties.defects import Defects
from aiida_mlip_autopipec.properties.hull import Hull
from aiida_mlip_autopipec.properties.migration import Migration
from aiida_mlip_autopipec.properties.stacking_fault import StackingFault
from aiida_mlip_autopipec.properties.surfaces import Surfaces, wulff_shape

from .conftest import settings, values_of


@pytest.fixture(scope="module")
def alloy(crystals: dict[str, Atoms]) -> dict[str, Atoms]:
    """Aluminium, copper and L1_2 Cu3Al."""
    cell = Atoms(
        "AlCu3", scaled_positions=[[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]], cell=[3.7] * 3, pbc=True
    )
    return {**crystals, "Cu3Al": relax_crystal(cell, EMT(), 1e-3, 100)}


def test_vacancy_and_dumbbells(crystals: dict[str, Atoms]) -> None:
    item = Defects(settings(Defects, min_length=7.0, dumbbells=[[1, 0, 0]], max_force=0.05))
    values, _ = values_of(item, crystals)
    assert list(values) == ["Al vacancy formation energy", "Al at Al dumbbell <100> formation energy"]
    assert 0.7 < values["Al vacancy formation energy"] < 1.2
    assert 1.5 < values["Al at Al dumbbell <100> formation energy"] < 3


def test_defects_of_a_compound(alloy: dict[str, Atoms]) -> None:
    item = Defects(settings(Defects, min_length=7.0, kinds=["vacancy", "antisite"], max_force=0.05))
    values, _ = values_of(item, alloy, "Cu3Al")
    assert set(values) == {
        "Al vacancy formation energy",
        "Cu vacancy formation energy",
        "Cu on Al antisite formation energy",
        "Al on Cu antisite formation energy",
    }
    (alone,) = item.compute({"Cu3Al": alloy["Cu3Al"]}, EMT())
    assert "the chemical potential of Al, Cu needs a crystal of each" in str(alone.reason)


def test_migration_of_a_vacancy(crystals: dict[str, Atoms]) -> None:
    item = Migration(settings(Migration, min_length=7.0, images=1, max_force=0.1))
    values, result = values_of(item, crystals)
    assert 0.3 < values["Al vacancy migration energy"] < 0.6
    energies = np.asarray(result.plots[0].panels[0].lines[0].y)
    assert energies[0] == 0 and energies[-1] == pytest.approx(0, abs=0.01) and np.argmax(energies) == 1


def test_stacking_fault_of_fcc(crystals: dict[str, Atoms]) -> None:
    item = StackingFault(settings(StackingFault, layers=2, points=7, max_force=0.05))
    values, result = values_of(item, crystals)
    gamma = np.asarray(result.plots[0].panels[0].lines[0].y)
    # A period of the plane: after it the crystal is perfect again; a third of it is the intrinsic fault.
    assert gamma[-1] == pytest.approx(0, abs=1) and values["slip at the minimum"] == pytest.approx(1 / 3)
    assert values["unstable fault energy, maximum of the curve"] > 100


def test_surface_energies_agree_with_a_slab_of_ase(crystals: dict[str, Atoms]) -> None:
    values, result = values_of(Surfaces(settings(Surfaces, max_force=0.01)), crystals)
    per_atom = crystals["Al fcc"].copy()
    per_atom.calc = EMT()
    a = crystals["Al fcc"].get_volume() ** (1 / 3) * 4 ** (1 / 3)
    slab = fcc111("Al", (1, 1, 8), a=a, vacuum=6.0)
    slab.calc = EMT()
    area = np.linalg.norm(np.cross(slab.cell[0], slab.cell[1]))
    unrelaxed = (slab.get_potential_energy() - 8 * per_atom.get_potential_energy()) / 2 / area * 16.0218
    assert values["(111) surface energy"] == pytest.approx(unrelaxed, rel=0.03)
    assert values["(111) surface energy"] <= unrelaxed + 1e-6
    assert sum(value for key, value in values.items() if "fraction" in key) == pytest.approx(1)
    assert set(result.plots[0].faces) <= {"(100)", "(110)", "(111)"}


def test_the_wulff_shape_of_equal_energies_along_axes_is_a_cube() -> None:
    normals = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1], [1, 1, 0]])
    faces = wulff_shape(normals, [1.0] * 6 + [3.0])
    assert sorted(faces) == [0, 1, 2, 3, 4, 5] and all(len(corners) == 4 for corners in faces.values())


def test_hull(alloy: dict[str, Atoms]) -> None:
    values, _ = values_of(Hull(), alloy, "Cu3Al")
    # The effective medium theory of this compound is above the line between the elements.
    assert values["energy of formation"] > 0
    assert values["energy above the hull"] == pytest.approx(values["energy of formation"])
    _, result = values_of(Hull(), alloy, "Al fcc")
    assert result.plots[0].panels[0].lines[0].label == "hull" and list(result.plots[0].panels[0].lines[0].x) == [0, 1]
    (alone,) = Hull().compute({"Cu3Al": alloy["Cu3Al"]}, EMT())
    assert alone.reason is not None and "needs a crystal of Al, Cu" in alone.reason
