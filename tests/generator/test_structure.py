"""The structure generator."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from ase import Atoms
from ase.data import chemical_symbols, covalent_radii
from ase.neighborlist import neighbor_list
from hypothesis import given, settings
from hypothesis import strategies as st

from aiida_mlip_autopipec.config.schemas.generator import FamilyWeights, GeneratorConfig
from aiida_mlip_autopipec.dataset.duplicates import find_duplicates
from aiida_mlip_autopipec.generator.structure import StructureGenerator

SOME = ("H", "O", "Si", "Cu", "Cs", "W", "U")


def kind_of(atoms: Atoms) -> str:
    return str(atoms.info["family"]).rsplit("_", maxsplit=1)[-1]


def closest_approach(atoms: Atoms) -> float:
    """Return the shortest distance relative to the sum of the covalent radii."""
    first, second, distances = neighbor_list("ijd", atoms, 4.0)
    radii = covalent_radii[atoms.numbers]
    return float((distances / (radii[first] + radii[second])).min(initial=np.inf))


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(SOME), st.integers(2, 60), st.integers(0, 2**32))
def test_requested_number_of_valid_structures_is_generated(element: str, count: int, seed: int) -> None:
    config = GeneratorConfig(seed=seed, max_atoms=8)
    structures = StructureGenerator(config).generate_initial_set(element, count)
    assert len(structures) == count
    for atoms in structures:
        assert 1 <= len(atoms) <= 8
        assert np.isfinite(atoms.positions).all() and atoms.cell.volume > 0
        assert atoms.pbc.all() or not atoms.pbc.any()
        assert set(atoms.get_chemical_symbols()) == {element}
        assert closest_approach(atoms) >= config.min_distance_fraction


def test_all_families_are_generated_and_named() -> None:
    config = GeneratorConfig(weights=FamilyWeights(trimer=1.0))
    kinds = Counter(kind_of(atoms) for atoms in StructureGenerator(config).generate_initial_set("Cu", 100))
    assert kinds["atom"] == 1
    # Random crystals are for several elements.
    assert set(kinds) == {"atom", *FamilyWeights.model_fields} - {"random"}
    assert all(number >= 5 for kind, number in kinds.items() if kind != "atom")


def test_prototypes_and_reference_crystal_are_generated() -> None:
    families = {atoms.info["family"] for atoms in StructureGenerator().generate_initial_set("Ti", 150)}
    assert {f"{prototype}_rattled" for prototype in ("fcc", "bcc", "hcp", "sc", "diamond")} <= families
    tin = {atoms.info["family"] for atoms in StructureGenerator().generate_initial_set("Sn", 100)}
    assert any(family.startswith(("diamond", "bct")) for family in tin)


def test_dimers_reach_from_the_shortest_distance_to_beyond_the_cutoff() -> None:
    structures = StructureGenerator().generate_initial_set("Cu", 200)
    lengths = [atoms.get_distance(0, 1) for atoms in structures if atoms.info["family"] == "dimer"]
    radius = covalent_radii[29]
    assert min(lengths) == pytest.approx(2 * radius * GeneratorConfig().min_distance_fraction, rel=0.01)
    assert max(lengths) > 5.5
    assert not any(atoms.pbc.any() for atoms in structures if atoms.info["family"] in ("dimer", "trimer"))


def test_the_same_settings_give_the_same_structures() -> None:
    first, again = (StructureGenerator().generate_initial_set("Al", 30) for _ in range(2))
    assert all(a == b and a.info == b.info for a, b in zip(first, again, strict=True))
    other = StructureGenerator(GeneratorConfig(seed=1)).generate_initial_set("Al", 30)
    assert first != other


def test_few_generated_structures_are_duplicates() -> None:
    duplicates = find_duplicates(StructureGenerator().generate_initial_set("Cu", 200))
    assert len(np.unique(duplicates.group)) >= 195


@pytest.mark.parametrize("elements", [["Cu", "Al"], ["Ni", "Al", "O"]])
def test_structures_of_several_elements_have_compounds_and_alloys(elements: list[str]) -> None:
    structures = StructureGenerator().generate(elements, 120)
    assert len(structures) == 120
    isolated = [atoms for atoms in structures if atoms.info["family"] == "isolated_atom"]
    assert sorted(atoms.get_chemical_formula() for atoms in isolated) == sorted(elements)
    pairs = {tuple(atoms.get_chemical_symbols()) for atoms in structures if atoms.info["family"] == "dimer"}
    assert len(pairs) == len(elements) * (len(elements) + 1) // 2
    families = {atoms.info["family"] for atoms in structures}
    assert any(family.startswith("b2_") for family in families)
    assert any("alloy" in family for family in families)
    assert any(len(set(atoms.get_chemical_symbols())) == len(elements) for atoms in structures)
    for atoms in structures:
        assert atoms.get_chemical_symbols() == sorted(atoms.get_chemical_symbols())
        assert closest_approach(atoms) >= GeneratorConfig().min_distance_fraction


def test_the_order_of_elements_does_not_matter() -> None:
    first, second = (StructureGenerator().generate(pair, 30) for pair in (["Cu", "Al"], ["Al", "Cu"]))
    assert all(a == b for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("symbol", chemical_symbols[1:97])
def test_structures_of_any_element_are_generated(symbol: str) -> None:
    assert len(StructureGenerator(GeneratorConfig(max_atoms=8)).generate_initial_set(symbol, 12)) == 12


@pytest.mark.parametrize("element", ["Xx", "X", "copper", ""])
def test_error_names_an_unknown_element(element: str) -> None:
    with pytest.raises(ValueError, match=f"unknown element '{element}'"):
        StructureGenerator().generate_initial_set(element, 20)


def test_missing_and_repeated_elements_are_refused() -> None:
    with pytest.raises(ValueError, match="none given"):
        StructureGenerator().generate([], 20)
    with pytest.raises(ValueError, match="given twice"):
        StructureGenerator().generate(["Cu", "Cu"], 20)


@pytest.mark.parametrize("count", [-1, 0, 1])
def test_error_for_a_too_small_count_gives_the_minimum(count: int) -> None:
    with pytest.raises(ValueError, match="at least 2 are needed"):
        StructureGenerator().generate_initial_set("Cu", count)
    assert len(StructureGenerator().generate_initial_set("Cu", 2)) == 2


def test_error_for_impossible_settings_says_what_to_change() -> None:
    config = GeneratorConfig(min_distance_fraction=1.0, volume_range=(0.4, 0.41))
    with pytest.raises(ValueError, match="lower min_distance_fraction"):
        StructureGenerator(config).generate_initial_set("Cu", 20)


def test_family_with_weight_zero_is_not_generated() -> None:
    weights = FamilyWeights(dimer=0, trimer=0)
    structures = StructureGenerator(GeneratorConfig(weights=weights)).generate_initial_set("Cu", 20)
    assert {"dimer", "trimer"}.isdisjoint(atoms.info["family"] for atoms in structures)


def test_all_weights_zero_is_an_error() -> None:
    with pytest.raises(ValueError, match="all weights are zero"):
        FamilyWeights(**dict.fromkeys(FamilyWeights.model_fields, 0.0))


@pytest.mark.parametrize("limits", [(1.2, 1.1), (0.1, 1.0), (0.9, 4.0)])
def test_volume_range_out_of_limits_is_refused(limits: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="smallest < largest"):
        GeneratorConfig(volume_range=limits)


@pytest.mark.parametrize("elements", [["Cu"], ["Al", "Cu"], ["Al", "Cu", "Ni"]])
def test_larger_count_gives_the_same_structures_and_additional_ones(elements: list[str]) -> None:
    generator = StructureGenerator(GeneratorConfig(max_atoms=8))
    few, many = generator.generate(elements, 30), generator.generate(elements, 60)
    there = {atoms.positions.tobytes() + atoms.cell.array.tobytes() + atoms.numbers.tobytes() for atoms in many}
    assert all(
        atoms.positions.tobytes() + atoms.cell.array.tobytes() + atoms.numbers.tobytes() in there for atoms in few
    )


def test_surfaces_have_vacuum_and_clusters_are_connected() -> None:
    structures = StructureGenerator().generate_initial_set("Cu", 200)
    clusters = [atoms for atoms in structures if kind_of(atoms) == "cluster"]
    assert clusters and not any(atoms.pbc.any() for atoms in clusters)
    assert {len(atoms) for atoms in clusters} <= set(range(4, 33))
    for atoms in clusters:
        first, _ = neighbor_list("ij", atoms, 3.6)
        assert set(first) == set(range(len(atoms)))
    surfaces = [atoms for atoms in structures if kind_of(atoms) == "surface"]
    assert surfaces and all(atoms.pbc.all() for atoms in surfaces)
    for atoms in surfaces:
        gaps = []
        for axis in range(3):
            along = np.sort(atoms.get_scaled_positions()[:, axis])
            height = 1 / np.linalg.norm(np.linalg.inv(atoms.cell.array)[:, axis])
            gaps.append(np.diff(np.append(along, along[0] + 1)).max() * height)
        assert max(gaps) > 6.0


def test_larger_pool_has_the_same_structures_and_additional_ones() -> None:
    generator = StructureGenerator(GeneratorConfig(max_atoms=8))
    pools = [generator.generate_pool(["Cu", "Au"], count, 3, 20) for count in (30, 70)]
    keys = [{(str(a.positions), str(a.cell.array), a.info["block"]) for a in pool} for pool in pools]
    assert keys[0] < keys[1]
    plain = generator.generate(["Cu", "Au"], 80)
    dimers = [sum(atoms.info["family"] == "dimer" for atoms in some) for some in (pools[1], plain)]
    assert dimers[0] == dimers[1] and len(pools[1]) > 200
    for block in range(4):
        kinds = {atoms.info["family"].split("_")[-1] for atoms in pools[1] if atoms.info["block"] == block}
        assert kinds >= {"hot", "surface"}
