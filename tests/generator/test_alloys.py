"""Compositions, special quasi-random structures and random crystals of several elements."""

from __future__ import annotations

from itertools import islice
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


def test_the_first_compositions_are_spread() -> None:
    first = list(islice(compositions(["A", "B", "C"]), 12))
    assert all(sum(composition.values()) == pytest.approx(1.0) for composition in first)
    assert len({tuple(sorted(composition.items())) for composition in first}) == 12
    assert {element for composition in first[:3] for element in composition} == {"A", "B", "C"}


def test_a_quasirandom_structure_is_more_random_than_chance() -> None:
    lattice = bulk("Cu", cubic=True) * (2, 2, 2)
    random = np.random.default_rng(1)
    symbols = ["Cu"] * 16 + ["Au"] * 16
    sites = QuasirandomLattice(lattice)
    shuffled = [sites.arrange(symbols, random, steps=0) for _ in range(10)]
    made = sites.arrange(symbols, random)
    assert sorted(made.get_chemical_symbols()) == sorted(symbols)
    assert pair_deviation(made) <= min(map(pair_deviation, shuffled))


def test_five_elements_give_alloys_of_many_of_them() -> None:
    structures = StructureGenerator(GeneratorConfig(max_atoms=16)).generate(["Ag", "Al", "Cu", "Ni", "Pd"], 150)
    numbers = [len(set(atoms.get_chemical_symbols())) for atoms in structures]
    assert max(numbers) >= 4
    assert sum(number > 2 for number in numbers) > 20
