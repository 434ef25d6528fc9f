"""Structures are equal bit by bit after storing in AiiDA."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from aiida_mlip_autopipec.dataset.frame_files import count_structures
from aiida_mlip_autopipec.dataset.trajectory import (
    METHOD,
    frames_with_source,
    group_label,
    is_labelled,
    origins_of,
    sort_by_species,
    splits_of,
    to_atoms,
    to_trajectories,
)


def test_groups_are_named_by_formula_and_periodicity(copper: list[Atoms]) -> None:
    trajectories = to_trajectories(copper)
    assert {label: node.numsteps for label, node in trajectories.items()} == {
        "Cu_000": 1,
        "Cu2_000": 1,
        "Cu_111": 2,
        "Cu4_111": 1,
        "Cu8_111": 1,
    }
    assert count_structures(trajectories) == len(copper)


def test_labels_splits_and_origins_of_a_trajectory(labelled_copper: list[Atoms]) -> None:
    frames = [atoms for atoms in labelled_copper if group_label(atoms) == "Cu_111"]
    for atoms, split in zip(frames, ("train", "test"), strict=True):
        atoms.info["split"] = split
    frames[0].info["origin"] = "mine, cu.cif, frame 1"
    (labelled,) = to_trajectories(frames).values()
    assert is_labelled(labelled) and splits_of(labelled) == ["train", "test"]
    assert origins_of(labelled) == {"mine, cu.cif, frame 1"}
    (unlabelled,) = to_trajectories([bulk("Cu")]).values()
    assert not is_labelled(unlabelled) and origins_of(unlabelled) == set()


def test_geometry_labels_and_info_are_read_back_exactly(labelled_copper: list[Atoms]) -> None:
    for label, node in to_trajectories(labelled_copper, {"calculator": "emt"}).items():
        node.store()
        assert node.base.attributes.get(METHOD) == {"calculator": "emt"}
        originals = [atoms for atoms in labelled_copper if group_label(atoms) == label]
        for original, returned in zip(originals, to_atoms(node), strict=True):
            assert np.array_equal(returned.positions, original.positions)
            assert np.array_equal(returned.cell.array, original.cell.array)
            assert np.array_equal(returned.pbc, original.pbc)
            assert returned.get_potential_energy() == original.get_potential_energy()
            assert np.array_equal(returned.get_forces(), original.get_forces())
            assert ("stress" in returned.calc.results) == ("stress" in original.calc.results)
            assert returned.info["family"] == original.info["family"]


def test_sorting_by_species_also_sorts_the_forces() -> None:
    atoms = bulk("CuAu", "rocksalt", a=4.5) * (2, 1, 1)
    atoms.rattle(0.1, seed=1)
    forces = np.arange(12.0).reshape(4, 3)
    from aiida_mlip_autopipec.dataset.trajectory import attach_labels

    attach_labels(atoms, {"energy": 1.0, "forces": forces})
    ordered = sort_by_species(atoms)
    assert ordered.get_chemical_symbols() == ["Au", "Au", "Cu", "Cu"]
    for index, position in enumerate(ordered.positions):
        origin = int(np.flatnonzero((atoms.positions == position).all(axis=1))[0])
        assert np.array_equal(ordered.get_forces()[index], forces[origin])


def test_sources_splits_and_groups_are_kept(labelled_copper: list[Atoms]) -> None:
    stored = {label: node.store() for label, node in to_trajectories(labelled_copper).items()}
    frames = frames_with_source(stored)
    for number, atoms in enumerate(frames):
        atoms.info.update(split="test" if number % 3 == 0 else "train", group=number)
    for node in to_trajectories(frames).values():
        for atoms in to_atoms(node.store()):
            source = next(origin for origin in stored.values() if origin.uuid == atoms.info["source_uuid"])
            assert np.array_equal(to_atoms(source, [atoms.info["source_step"]])[0].positions, atoms.positions)
            assert atoms.info["split"] in ("train", "test")


def test_mixture_of_labelled_and_unlabelled_structures_is_refused(
    copper: list[Atoms], labelled_copper: list[Atoms]
) -> None:
    with pytest.raises(ValueError, match="Cu_111: 1 of 2 structures have no labels"):
        to_trajectories([copper[2], labelled_copper[3]])


def test_empty_structure_is_refused() -> None:
    with pytest.raises(ValueError, match="structure 0 has no atoms"):
        to_trajectories([Atoms()])


def test_only_explored_structures_have_a_grade_and_a_sampler_number() -> None:
    explored, generated = bulk("Cu"), bulk("Cu", a=3.7)
    explored.info = {"family": "explored_md", "grade": 7.123456789012345, "walker": 0}
    generated.info = {"family": "fcc_crystal"}
    (node,) = to_trajectories([explored, generated]).values()
    assert [atoms.info for atoms in to_atoms(node)] == [explored.info, generated.info]
