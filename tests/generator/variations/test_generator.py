"""Structures from the user's own structures."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule

from aiida_mlip_autopipec.config.schemas.generator import GeneratorConfig
from aiida_mlip_autopipec.config.schemas.structures import StructureSource
from aiida_mlip_autopipec.dataset.dimension import dimensionality_of
from aiida_mlip_autopipec.dataset.given_structures import prepare_given
from aiida_mlip_autopipec.generator.distances import keeps_distance
from aiida_mlip_autopipec.generator.variations.crystals import voronoi_sites
from aiida_mlip_autopipec.generator.variations.cuts import miller_planes
from aiida_mlip_autopipec.generator.variations.generator import VariationGenerator


def given_of(atoms: Atoms, name: str = "mine", **source: object) -> list[Atoms]:
    return prepare_given([atoms], StructureSource(file="x.cif", name=name, **source), max_atoms=100)


@pytest.mark.parametrize(
    ("atoms", "kind"),
    [
        (bulk("Cu"), "crystal"),
        (bulk("NiAl", "cesiumchloride", a=2.9), "crystal"),
        (fcc111("Cu", (1, 1, 3), vacuum=6.0), "slab"),
        (Atoms("C2", positions=[[0, 0, 0], [0, 0, 1.3]], cell=[12, 12, 2.6], pbc=True), "chain"),
        (molecule("H2O"), "molecule"),
    ],
)
def test_kind_of_a_structure_follows_from_its_vacuum(atoms: Atoms, kind: str) -> None:
    assert dimensionality_of(given_of(atoms)[0]) == kind


def test_every_variation_keeps_the_minimum_distance_and_names_its_origin() -> None:
    given = [*given_of(bulk("NiAl", "cesiumchloride", a=2.9), "NiAl"), *given_of(molecule("H2O"), "water")]
    config = GeneratorConfig(max_atoms=16)
    structures = VariationGenerator(config, ["Ni", "Al", "O", "H"], given).generate(70)
    assert len(structures) == 70
    varied = [atoms for atoms in structures if "origin" in atoms.info]
    assert {"NiAl: x.cif, frame 0", "water: x.cif, frame 0"} == {atoms.info["origin"] for atoms in varied}
    families = {atoms.info["family"] for atoms in varied}
    assert {"given", "NiAl_vacancy", "NiAl_interstitial", "NiAl_surface", "water_stretch", "water_pair"} <= families
    assert "water_vacancy" not in families
    assert all(keeps_distance(atoms, config.min_distance_fraction) for atoms in structures)
    assert all(len(atoms) <= 17 for atoms in structures)
    assert all(atoms.pbc.all() or not atoms.pbc.any() for atoms in structures)


def test_equal_settings_give_equal_structures_and_a_larger_count_adds_structures() -> None:
    given = given_of(bulk("Cu"))
    few = VariationGenerator(GeneratorConfig(), ["Cu"], given).generate(20)
    many = VariationGenerator(GeneratorConfig(), ["Cu"], given).generate(40)
    assert few == VariationGenerator(GeneratorConfig(), ["Cu"], given).generate(20)
    of_few = {atoms.positions.tobytes() for atoms in few}
    assert of_few <= {atoms.positions.tobytes() for atoms in many}


def test_as_is_structures_are_not_varied() -> None:
    given = given_of(bulk("Cu"), role="as_is")
    structures = VariationGenerator(GeneratorConfig(), ["Cu"], given).generate(20)
    assert sum("origin" in atoms.info for atoms in structures) == 1


def test_a_pool_holds_the_given_structures_once() -> None:
    given = given_of(bulk("Cu"))
    pool = VariationGenerator(GeneratorConfig(), ["Cu"], given).generate_pool(40, 3, 20)
    assert sum(atoms.info["family"] == "given" for atoms in pool) == 1
    assert {atoms.info["block"] for atoms in pool} == {0, 1}
    assert len(pool) > 80


def test_seed_share_of_one_adds_only_free_atoms() -> None:
    generator = VariationGenerator(GeneratorConfig(seed_share=1.0), ["H", "O"], given_of(molecule("H2O")))
    for structures in (generator.generate(20), generator.generate_pool(20, 2, 10)):
        other = [atoms for atoms in structures if "origin" not in atoms.info]
        assert [atoms.info["family"] for atoms in other] == ["isolated_atom"] * 2
    assert len(generator.generate(20)) == 20


def test_too_small_a_count_is_refused() -> None:
    with pytest.raises(ValueError, match=r"at least 3 are needed"):
        VariationGenerator(GeneratorConfig(), ["Cu"], given_of(bulk("Cu"))).check(2)


def test_the_widest_voronoi_sites_of_fcc_are_the_octahedral_ones() -> None:
    cell = bulk("Cu", a=4.0, cubic=True)
    sites = voronoi_sites(cell)
    assert np.allclose(np.sort(cell.cell.scaled_positions(sites[0])) % 0.5, 0.0, atol=1e-6)


def test_miller_planes_have_no_duplicates() -> None:
    planes = miller_planes(1)
    assert len(planes) == 13
    assert (1, 1, 1) in planes
    assert (-1, -1, -1) not in planes
