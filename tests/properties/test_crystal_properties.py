"""Properties of perfect crystals: lattice, elastic constants, phonons, thermal expansion."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from scipy.spatial.transform import Rotation

from aiida_mlip_autopipec.properties.conductivity import ThermalConductivity
from aiida_mlip_autopipec.properties.crystals import relax_crystal
from aiida_mlip_autopipec.properties.elastic import Elastic, averages
from aiida_mlip_autopipec.properties.lattice import Lattice
from aiida_mlip_autopipec.properties.model import NotComputableError
from aiida_mlip_autopipec.properties.phonons import Phonons
from aiida_mlip_autopipec.properties.thermal import ThermalExpansion
from aiida_mlip_autopipec.validation.cuts import middle_of_widest_gap
from aiida_mlip_autopipec.validation.symmetry import equivalent_directions, independent_constants, symmetrised

from .conftest import settings, values_of


def test_lattice(crystals: dict[str, Atoms]) -> None:
    values, result = values_of(Lattice(), crystals)
    assert values["space group"] == "Fm-3m" and values["a"] == pytest.approx(3.994, abs=0.002)
    assert values["bulk modulus"] == pytest.approx(38.5, abs=2)
    assert not {"b", "c", "α", "β", "γ"} & set(values)
    assert any("relative to free atoms" in note for note in result.notes)
    assert result.plots[0].name == "equation of state"


def test_elastic_constants_of_a_cubic_crystal(crystals: dict[str, Atoms]) -> None:
    values, _ = values_of(Elastic(), crystals)
    tensor = values["tensor"]
    assert {"C11", "C12", "C44"} <= set(values) and "C13" not in values
    assert tensor[0, 0] == tensor[1, 1] and tensor[2, 3] == pytest.approx(0, abs=1e-9)
    assert values["bulk modulus (Hill)"] == pytest.approx((values["C11"] + 2 * values["C12"]) / 3)


def test_clamped_ions_are_stiffer() -> None:
    crystal = relax_crystal(bulk("Cu", "hcp", a=2.57, c=4.2), EMT(), 1e-4, 200)
    values, _ = values_of(Elastic(), {"hcp": crystal}, "hcp")
    assert {"C11", "C12", "C13", "C33", "C44"} <= set(values) and "C66" not in values
    assert values["C11 clamped ions"] > values["C11"] - 1e-6
    tensor = values["tensor"]
    assert tensor[5, 5] == pytest.approx((tensor[0, 0] - tensor[0, 1]) / 2)


@pytest.mark.parametrize(
    ("group", "names"),
    [
        (Rotation.create_group("O"), ["C11", "C12", "C44"]),
        (Rotation.create_group("D6"), ["C11", "C12", "C13", "C33", "C44"]),
        (Rotation.create_group("D4"), ["C11", "C12", "C13", "C33", "C44", "C66"]),
        (Rotation.create_group("D2"), ["C11", "C12", "C13", "C22", "C23", "C33", "C44", "C55", "C66"]),
    ],
)
def test_the_independent_constants_are_those_of_textbooks(group: Rotation, names: list[str]) -> None:
    assert list(independent_constants(group.as_matrix())) == names


@pytest.mark.parametrize(("group", "count"), [("D3", 6), ("C3", 7), ("C4", 7), ("C2", 13), ("C1", 21)])
def test_numbers_of_independent_constants_of_low_symmetry(group: str, count: int) -> None:
    assert len(independent_constants(Rotation.create_group(group).as_matrix())) == count


def test_isotropic_tensor_is_unchanged_by_symmetrisation() -> None:
    tensor = np.diag([3.0, 3.0, 3.0, 1.0, 1.0, 1.0])
    tensor[:3, :3] += 0.0 + (np.ones((3, 3)) - np.eye(3)) * 1.0
    rotations = Rotation.random(5, random_state=1).as_matrix()
    assert np.allclose(symmetrised(tensor, rotations), tensor)
    found = {value.name: value.value for value in averages(tensor)}
    assert found["shear modulus (Voigt)"] == pytest.approx(1.0) == found["shear modulus (Reuss)"]


def test_phonons_have_a_path_and_a_density(crystals: dict[str, Atoms]) -> None:
    pytest.importorskip("seekpath")
    values, result = values_of(Phonons(settings(Phonons, min_length=5.0, mesh=20.0)), crystals)
    assert 7 < values["highest frequency"] < 10 and abs(values["lowest frequency"]) < 0.01
    # Dulong and Petit: 3 R is 24.9 J/K/mol.
    assert 22 < values["heat capacity at 300 K"] < 24.95
    dispersion, density = result.plots[0].panels
    assert [name for _, name in dispersion.ticks] == ["Γ", "X", "U|K", "Γ", "L", "W", "X"]
    area = np.trapezoid(density.lines[0].x, density.lines[0].y)
    assert area == pytest.approx(3, rel=0.05)


def test_thermal_expansion(crystals: dict[str, Atoms]) -> None:
    item = ThermalExpansion(settings(ThermalExpansion, min_length=5.0, mesh=15.0, volumes=5, max_temperature=400.0))
    values, result = values_of(item, crystals)
    assert values["volume at 300 K"] > crystals["Al fcc"].get_volume()
    assert 50 < values["thermal expansion (volume) at 300 K"] < 150
    assert not result.notes


def test_molecule_is_refused_as_a_crystal() -> None:
    with pytest.raises(NotComputableError, match="is a molecule, not a crystal"):
        relax_crystal(Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 2]]), EMT(), 0.01, 10)


def test_surfaces_cut_the_widest_gap_between_planes() -> None:
    # Planes (111) of diamond: the gaps are 1/4 and 3/4 of a period.
    assert middle_of_widest_gap(np.array([0.0, 0.25, 1.0])) == pytest.approx(0.625)


def test_directions_that_are_equal_by_symmetry_are_found() -> None:
    cubic = bulk("Cu", cubic=True)
    vectors = np.array([[1, 0, 0], [0, -1, 0], [1, 1, 0], [1, 0, -1], [1, 1, 1]])
    assert equivalent_directions(cubic, vectors) == [0, 0, 2, 2, 4]


def test_thermal_conductivity_falls_with_temperature(crystals: dict[str, Atoms]) -> None:
    item = ThermalConductivity(
        settings(ThermalConductivity, min_length=7, harmonic_min_length=7, mesh=12, temperatures=(600.0, 1200.0))
    )
    values, result = values_of(item, crystals, "Cu fcc")
    low, high = values["thermal conductivity at 600 K"], values["thermal conductivity at 1200 K"]
    # Scattering of three phonons grows in proportion to the temperature above that of Debye, 315 K.
    assert low / high == pytest.approx(2, rel=0.05) and 1 < low < 20
    assert not any(name.startswith("tensor") for name in values)
    assert result.plots[0].panels[0].lines[0].y[0] == pytest.approx(low)


@pytest.mark.parametrize(
    ("given", "reason"),
    [({"max_supercells": 1}, "more than max_supercells = 1: set pair_cutoff"), ({"min_length": 5}, "raise min_length")],
)
def test_message_of_thermal_conductivity_says_what_to_change(
    crystals: dict[str, Atoms], given: dict[str, float], reason: str
) -> None:
    base = {"min_length": 7, "harmonic_min_length": 5, "mesh": 6, "temperatures": (600.0,)}
    (result,) = ThermalConductivity(settings(ThermalConductivity, **{**base, **given})).compute(
        {"Cu fcc": crystals["Cu fcc"]}, EMT()
    )
    assert result.reason is not None and reason in result.reason


def test_an_unstable_crystal_has_no_thermal_conductivity() -> None:
    crystal = relax_crystal(bulk("Cu", "bcc", a=2.9), EMT(), 1e-3, 100)
    item = ThermalConductivity(settings(ThermalConductivity, min_length=5, harmonic_min_length=5, mesh=6))
    (result,) = item.compute({"bcc": crystal}, EMT())
    assert result.reason is not None and "unstable" in result.reason
