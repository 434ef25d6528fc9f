"""Compositions, special quasi-random structures and random crystals of several elements."""

from __future__ import annotations

from collections import Counter
from itertools import combinations, permutations
from math import comb

import numpy as np
import pytest
from ase.build import bulk

from aiida_mlip_autopipec.config.schemas.generator import GeneratorConfig
from aiida_mlip_autopipec.generator.compositions import compositions, simplex_grid
from aiida_mlip_autopipec.generator.quasirandom import QuasirandomLattice, pair_deviation
from aiida_mlip_autopipec.generator.structure import StructureGenerator


@pytest.mark.parametrize(("elements", "divisions"), [(2, 4), (3, 4), (5, 3)])
def test_the_grid_has_every_point_of_the_simplex_once(elements: int, divisions: int) -> None:
    points = simplex_grid(elements, divisions)
    assert len(points) == len(set(points)) == comb(divisions + elements - 1, elements - 1)
    assert {sum(point) for point in points} == {divisions}


@pytest.mark.parametrize("elements", ["AB", "ABC", "ABCD", "ABCDE"])
def test_compositions_are_different_and_have_all_pairs(elements: str) -> None:
    found = compositions(list(elements))
    assert all(sum(composition.values()) == pytest.approx(1.0) for composition in found)
    assert len({tuple(sorted(composition.items())) for composition in found}) == len(found)
    assert list(found[0].values()) == pytest.approx([1 / len(elements)] * len(elements))
    pairs = Counter(tuple(sorted(composition)) for composition in found if len(composition) == 2)
    assert pairs == dict.fromkeys(combinations(elements, 2), 3)


def test_quasirandom_structure_is_closer_to_a_random_alloy_than_a_random_one() -> None:
    lattice = bulk("Cu", cubic=True) * (2, 2, 2)
    random = np.random.default_rng(1)
    symbols = ["Cu"] * 16 + ["Au"] * 16
    sites = QuasirandomLattice(lattice)
    shuffled = [sites.arrange(symbols, random, steps=0) for _ in range(10)]
    made = sites.arrange(symbols, random)
    assert sorted(made.get_chemical_symbols()) == sorted(symbols)
    assert pair_deviation(made) <= min(map(pair_deviation, shuffled))


def test_five_elements_give_alloys_of_more_than_two_elements() -> None:
    structures = StructureGenerator(GeneratorConfig(max_atoms=16)).generate(["Ag", "Al", "Cu", "Ni", "Pd"], 150)
    numbers = [len(set(atoms.get_chemical_symbols())) for atoms in structures]
    assert max(numbers) >= 4
    assert sum(number > 2 for number in numbers) > 20


@pytest.mark.parametrize(
    ("elements", "count", "most"),
    [(["Cu", "Au"], 600, 80), (["Ni", "Al", "Cu"], 900, 120), (["Ag", "Al", "Cu", "Ni", "Pd"], 1500, 120)],
)
def test_generated_structures_have_few_formulas(elements: list[str], count: int, most: int) -> None:
    structures = StructureGenerator().generate(elements, count)
    assert len({(atoms.get_chemical_formula(), atoms.pbc.any()) for atoms in structures}) <= most


def test_each_element_is_an_impurity_in_each_other_element() -> None:
    elements = ["Al", "Cu", "Ni"]
    found = set()
    for atoms in StructureGenerator().generate(elements, 600):
        numbers = Counter(atoms.get_chemical_symbols())
        if "dilute" in atoms.info["family"] and len(numbers) == 2 and len(atoms) == 16:
            found.add(tuple(symbol for symbol, _ in numbers.most_common()))
            assert min(numbers.values()) == 1
    assert found == set(permutations(elements, 2))


def test_clusters_have_the_composition_of_their_crystal() -> None:
    clusters = [
        Counter(atoms.get_chemical_symbols())
        for atoms in StructureGenerator().generate(["Cu", "Au"], 1200)
        if atoms.info["family"] in ("l1_0_cluster", "l1_2_cluster") and len(atoms) in (4, 16)
    ]
    assert clusters and all(set(numbers.values()) in ({2}, {8}, {1, 3}, {4, 12}) for numbers in clusters)
