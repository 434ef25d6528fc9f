"""Curation: structures kept, rejections with reasons, and the split."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from hypothesis import given, settings
from hypothesis import strategies as st

from aiida_mlip_autopipec.config.schemas.curation import CurationConfig
from aiida_mlip_autopipec.dataset.curate import Curation, curate
from aiida_mlip_autopipec.dataset.split import split_by_groups
from aiida_mlip_autopipec.dataset.trajectory import attach_labels

from ..conftest import label_by_emt
from .equivalent import transformed


def rattled_copper(count: int, family: str = "fcc") -> list[Atoms]:
    structures = []
    for seed in range(count):
        atoms = bulk("Cu", cubic=True)
        atoms.rattle(0.05, seed=seed)
        atoms.info["family"] = family
        structures.append(label_by_emt(atoms))
    return structures


def relabelled(atoms: Atoms, **labels: object) -> Atoms:
    copy = atoms.copy()
    return attach_labels(copy, {**atoms.calc.results, **labels})


def curated(structures: list[Atoms], test_fraction: float = 0.0, **changes: object) -> Curation:
    return curate(structures, CurationConfig(**changes), test_fraction=test_fraction, seed=1)


def test_valid_structures_are_all_kept() -> None:
    curation = curated(rattled_copper(5))
    assert curation.indices == (0, 1, 2, 3, 4)
    assert curation.report["rejected"] == {}
    assert curation.report["n_kept"] == curation.report["n_train"] == 5


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"energy": np.nan}, "non_finite"),
        ({"forces": np.full((4, 3), np.inf)}, "non_finite"),
        ({"forces": np.zeros((3, 3))}, "wrong_shape"),
        ({"energy": None}, "missing_label"),
        ({"forces": np.full((4, 3), 200.0)}, "force_too_large"),
    ],
)
def test_invalid_label_is_rejected_with_the_reason(change: dict[str, object], reason: str) -> None:
    structures = rattled_copper(3)
    faulty = structures[1].copy()
    faulty.calc = structures[1].calc
    faulty.calc.results = {**faulty.calc.results, **change}
    faulty.calc.atoms = faulty.copy()
    structures[1] = faulty
    curation = curated(structures)
    assert curation.indices == (0, 2)
    assert curation.report["rejected"] == {reason: 1}
    (rejection,) = curation.report["rejections"]
    assert rejection["index"] == 1 and rejection["detail"]


def test_structures_with_too_close_atoms_are_rejected() -> None:
    close = label_by_emt(Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 0.7]]))
    curation = curated([*rattled_copper(2), close], max_force=None)
    assert curation.report["rejected"] == {"atoms_too_close": 1}


def test_energy_outliers_are_rejected_if_a_limit_is_set() -> None:
    structures = rattled_copper(6)
    structures[2] = relabelled(structures[2], energy=structures[2].get_potential_energy() + 8.0)
    assert curated(structures).report["rejected"] == {}
    assert curated(structures, max_energy_deviation=1.0).report["rejected"] == {"energy_outlier": 1}


def test_transformed_duplicates_are_rejected_and_name_the_kept_structure() -> None:
    random = np.random.default_rng(1)
    structures = rattled_copper(4)
    duplicate = label_by_emt(transformed(structures[2], random))
    curation = curated([*structures, duplicate])
    assert curation.indices == (0, 1, 2, 3)
    (rejection,) = curation.report["rejections"]
    assert (rejection["index"], rejection["reason"], rejection["kept_instead"]) == (4, "duplicate", 2)
    assert curation.report["contradicting_labels"] == 0


def test_equal_structures_with_different_energies_are_counted() -> None:
    structures = rattled_copper(2)
    duplicate = relabelled(structures[0], energy=structures[0].get_potential_energy() + 1.0)
    report = curated([*structures, duplicate]).report
    assert report["contradicting_labels"] == 1
    assert report["contradictions"][0]["energy_difference_eV_per_atom"] == pytest.approx(0.25)


def test_equal_structures_with_different_forces_are_listed() -> None:
    structures = rattled_copper(3)
    gradient = relabelled(structures[0], forces=-structures[0].get_forces())
    other_cell = label_by_emt(structures[1].repeat((2, 1, 1))[::-1])
    assert curated([*structures, other_cell]).report["force_contradictions"] == []
    doubled = relabelled(other_cell, forces=2.0 * other_cell.get_forces())
    for wrong, original in ((gradient, 0), (doubled, 1)):
        report = curated([*structures, wrong]).report
        assert report["contradictions"] == []
        (pair,) = report["force_contradictions"]
        largest = np.linalg.norm(structures[original].get_forces(), axis=1).max() * (2.0 if original == 0 else 1.0)
        assert (pair["index"], pair["equal_to"]) == (3, original)
        assert pair["largest_force_difference_eV_per_A"] == pytest.approx(largest, rel=1e-3)
        assert 0.0 < pair["rms_force_difference_eV_per_A"] < largest


def test_kept_duplicates_are_all_in_train_or_all_in_test() -> None:
    random = np.random.default_rng(1)
    structures = rattled_copper(12)
    structures += [label_by_emt(transformed(atoms, random)) for atoms in structures]
    curation = curated(structures, test_fraction=0.4, remove_duplicates=False)
    assert len(curation.indices) == 24
    assert curation.splits[:12] == curation.splits[12:]
    assert 0 < curation.report["n_test"] < 24


def test_free_atoms_are_always_in_the_training_set(labelled_copper: list[Atoms]) -> None:
    for seed in range(5):
        curation = curate(labelled_copper, CurationConfig(), test_fraction=0.6, seed=seed)
        assert curation.splits[0] == "train"
        assert "test" in curation.splits


def pairs_of_atoms(family: str) -> list[Atoms]:
    """Return two-atom molecules of copper and gold; the shortest distance is that of the three from index 3."""
    return [
        label_by_emt(Atoms(pair, positions=[[0, 0, 0], [0, 0, distance]], info={"family": family}))
        for distance in (2.4, 1.9, 2.2, 2.0, 2.8)
        for pair in ("Cu2", "AuCu", "Au2")
    ]


def test_the_shortest_distance_of_each_pair_of_elements_is_in_train() -> None:
    structures = pairs_of_atoms("molecule")
    for seed in range(5):
        curation = curate(structures, CurationConfig(), test_fraction=0.6, seed=seed)
        assert set(curation.splits[3:6]) == {"train"}
        assert curation.splits.count("test") == 9


def test_generated_dimers_are_in_train() -> None:
    structures = pairs_of_atoms("dimer") + rattled_copper(10)
    curation = curate(structures, CurationConfig(), test_fraction=0.3, seed=1)
    assert set(curation.splits[:15]) == {"train"}
    assert curation.splits.count("test") == 8
    mixed = curate(structures, CurationConfig(extremes_in_train=False), test_fraction=0.3, seed=1)
    assert "test" in mixed.splits[:15]


@settings(max_examples=30, deadline=None)
@given(st.integers(10, 40), st.floats(0.05, 0.5), st.integers(0, 1000))
def test_test_set_has_the_requested_size(count: int, fraction: float, seed: int) -> None:
    structures = [bulk("Cu", a=3.5 + 0.01 * index) for index in range(count)]
    splits = split_by_groups(structures, range(count), [False] * count, test_fraction=fraction, seed=seed)
    assert splits.count("test") == max(1, int(fraction * count + 0.5))


def test_the_split_does_not_depend_on_the_order_and_depends_on_the_seed() -> None:
    structures = [bulk("Cu", a=3.5 + 0.01 * index) for index in range(30)]

    def test_set_of(order: list[int], seed: int) -> set[int]:
        chosen = [structures[index] for index in order]
        splits = split_by_groups(chosen, range(30), [False] * 30, test_fraction=0.2, seed=seed)
        return {index for index, split in zip(order, splits, strict=True) if split == "test"}

    forward, backward = list(range(30)), list(range(29, -1, -1))
    assert test_set_of(forward, 1) == test_set_of(backward, 1)
    assert test_set_of(forward, 1) != test_set_of(forward, 2)


def test_test_fraction_out_of_range_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"test_fraction is 1\.0"):
        curated(rattled_copper(2), test_fraction=1.0)


def test_given_test_set_is_kept_and_its_overlap_with_train_is_counted() -> None:
    def marked(structures: list[Atoms], split: str) -> list[Atoms]:
        copies = [relabelled(atoms) for atoms in structures]
        for atoms in copies:
            atoms.info["split"] = split
        return copies

    structures = rattled_copper(6)
    train, test = [*structures, structures[3]], [structures[0], structures[0], structures[1], *rattled_copper(7)[6:]]
    curation = curated([*marked(train, "train"), *marked(test, "test")])
    assert curation.splits.count("train") == 6
    assert curation.splits.count("test") == 4
    assert curation.report["test_equal_to_train"] == 3
    assert curation.report["rejected"] == {"duplicate": 1}
