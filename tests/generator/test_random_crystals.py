"""Random crystals: symmetry, formulas, and their share in the structures of alloys."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from ase import Atoms

from aiida_mlip_autopipec.config.schemas.generator import GeneratorConfig
from aiida_mlip_autopipec.generator.distances import keeps_distance
from aiida_mlip_autopipec.generator.random_crystals import _operations, formulas, random_compound, random_crystal
from aiida_mlip_autopipec.generator.structure import StructureGenerator


def group_of(cell: Atoms) -> int:
    import spglib

    data = spglib.get_symmetry_dataset((cell.cell.array, cell.get_scaled_positions(), cell.numbers), 1e-3)
    return int(data.number)


def test_random_crystals_have_symmetry_and_differ() -> None:
    random = np.random.default_rng(0)
    crystals = [random_crystal(["Al", "Cu"], 12, random) for _ in range(30)]
    groups = [group_of(cell) for cell in crystals]
    assert sum(group > 2 for group in groups) > 24
    assert len(set(groups)) > 8
    assert all(keeps_distance(cell, 0.75) and len(cell) <= 12 for cell in crystals)


@pytest.mark.parametrize(
    "formula", [{"Al": 1, "Cu": 3}, {"Al": 4, "Cu": 4}, {"Ag": 2, "Al": 2, "Cu": 2, "Ni": 1, "Pd": 1}]
)
def test_random_compound_has_the_given_formula_and_symmetry(formula: dict[str, int]) -> None:
    random = np.random.default_rng(1)
    crystals = [random_compound(formula, random) for _ in range(8)]
    assert all(Counter(cell.get_chemical_symbols()) == formula for cell in crystals)
    assert all(keeps_distance(cell, 0.75) for cell in crystals)
    assert sum(group_of(cell) > 2 for cell in crystals) >= 2


@pytest.mark.parametrize("group", [1, 15, 43, 70, 146, 166, 225, 230])
def test_operations_are_those_of_the_space_group_in_its_primitive_cell(group: int) -> None:
    rotations, translations, primitive = _operations(group)
    centrings = round(1 / abs(np.linalg.det(primitive)))
    pure = [t for r, t in zip(rotations, translations, strict=True) if np.array_equal(r, np.eye(3))]
    assert len(pure) == centrings
    # Each centring is a lattice vector of the primitive cell.
    steps = np.array(pure) @ np.linalg.inv(primitive)
    assert np.allclose(steps, np.rint(steps))
    assert len(rotations) % centrings == 0


def test_formulas_are_few_and_cover_all_mixtures() -> None:
    binary = formulas(["Al", "Cu"], 8)
    assert sorted(formula["Al"] for formula in binary) == [2, 4, 6]
    quinary = formulas(["Ag", "Al", "Cu", "Ni", "Pd"], 8)
    assert len(quinary) <= 41 and {len(formula) for formula in quinary} == {2, 3, 4, 5}
    assert all(sum(formula.values()) == 8 for formula in quinary)


def test_random_crystals_are_few_in_alloys_and_absent_in_elements() -> None:
    def families(elements: list[str]) -> Counter[str]:
        made = StructureGenerator(GeneratorConfig(max_atoms=8)).generate(elements, 100)
        return Counter("random" if atoms.info["family"].startswith("random") else "other" for atoms in made)

    assert 2 <= families(["Al", "Cu"])["random"] <= 6
    assert families(["Cu"])["random"] == 0
    with_them = StructureGenerator().generate(["Al", "Ni"], 60)
    without = StructureGenerator(GeneratorConfig(weights={"random": 0.0})).generate(["Al", "Ni"], 60)
    hashes = [
        {atoms.positions.tobytes() for atoms in made if "random" not in atoms.info["family"]}
        for made in (with_them, without)
    ]
    assert hashes[0] <= hashes[1]
