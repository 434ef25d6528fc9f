"""The calcfunction around curation."""

from __future__ import annotations

import numpy as np
from aiida.manage.configuration import Profile
from aiida.orm import Dict, Float, Int, load_node
from ase import Atoms
from ase.build import bulk

from aiida_mlip_autopipec.config.schemas.curation import CurationConfig
from aiida_mlip_autopipec.dataset.calcfunctions import curate_labels
from aiida_mlip_autopipec.dataset.fingerprint import is_free_atom
from aiida_mlip_autopipec.dataset.trajectory import all_frames, attach_labels, to_trajectories

from ..conftest import label_by_emt

SETTINGS = CurationConfig().model_dump(mode="json")
METHOD = {"type": "ase", "calculator": "emt", "parameters": {}}


def test_every_frame_names_its_source_trajectory_and_step(aiida_profile: Profile, labelled_copper: list[Atoms]) -> None:
    labelled = to_trajectories([*labelled_copper, labelled_copper[2]], METHOD)
    outputs = curate_labels(Dict(SETTINGS), Float(0.0), Int(1), **labelled)
    report = outputs.pop("report").get_dict()
    assert report["n_input"] == 7 and report["n_kept"] == 6
    (rejection,) = report["rejections"]
    assert load_node(rejection["source_uuid"]).get_array("energies")[rejection["source_step"]] is not None
    for atoms in all_frames(outputs):
        source = load_node(atoms.info["source_uuid"])
        step = atoms.info["source_step"]
        assert np.array_equal(source.get_array("positions")[step], atoms.positions)
        assert source.get_array("energies")[step] == atoms.get_potential_energy()


def test_labels_of_different_methods_are_refused(aiida_profile: Profile, labelled_copper: list[Atoms]) -> None:
    first = to_trajectories(labelled_copper[:1], METHOD)
    second = to_trajectories(labelled_copper[1:2], {**METHOD, "parameters": {"asap_cutoff": True}})
    _, node = curate_labels.run_get_node(Dict(SETTINGS), Float(0.0), Int(1), **first, **second)
    assert node.exit_status == 310
    assert "different methods" in node.exit_message


def test_exit_status_if_all_structures_are_rejected(aiida_profile: Profile, labelled_copper: list[Atoms]) -> None:
    settings = {**SETTINGS, "max_force": 1e-6}
    _, node = curate_labels.run_get_node(
        Dict(settings), Float(0.0), Int(1), **to_trajectories(labelled_copper[4:], METHOD)
    )
    assert node.exit_status == 320
    assert "force_too_large" in node.exit_message


def test_dataset_does_not_depend_on_the_division_into_jobs(
    aiida_profile: Profile, labelled_copper: list[Atoms]
) -> None:
    at_once = to_trajectories(labelled_copper, METHOD)
    in_parts = {
        f"{label}_{number}": node
        for number, atoms in enumerate(reversed(labelled_copper))
        for label, node in to_trajectories([atoms], METHOD).items()
    }
    datasets = [curate_labels(Dict(SETTINGS), Float(0.3), Int(1), **labelled) for labelled in (at_once, in_parts)]
    reports = [dataset.pop("report").get_dict() for dataset in datasets]
    assert reports[0] == reports[1]
    first, second = map(all_frames, datasets)
    for atoms, other in zip(first, second, strict=True):
        assert atoms == other and np.array_equal(atoms.get_forces(), other.get_forces())
        assert [atoms.info[key] for key in ("split", "group")] == [other.info[key] for key in ("split", "group")]


def test_structures_stored_by_older_versions_are_repaired_or_rejected(aiida_profile: Profile) -> None:
    """Structures that `import` rejects, but older versions accepted."""
    crystals = []
    for seed in range(4):
        atoms = bulk("Cu", cubic=True)
        atoms.rattle(0.05, seed=seed)
        crystals.append(label_by_emt(atoms))
    left = crystals[0].copy()
    left.set_cell(left.cell.array[[1, 0, 2]])
    left = label_by_emt(left)
    free = label_by_emt(Atoms("Cu", cell=[6.0, 6.0, 6.0], pbc=True, info={"family": "IsolatedAtom"}))
    flat = crystals[1].copy()
    flat.cell[2] = 0.0
    attach_labels(flat, crystals[1].calc.results)
    labelled = to_trajectories([left, free, flat, *crystals[2:]], METHOD)
    outputs = curate_labels(Dict(SETTINGS), Float(0.0), Int(1), **labelled)
    report = outputs.pop("report").get_dict()
    assert sorted(report["repaired"].values()) == [1, 1]
    assert report["rejected"] == {"unusable_structure": 1}
    frames = all_frames(outputs)
    assert all(np.linalg.det(atoms.cell.array) > 0.0 for atoms in frames if atoms.pbc.any())
    (atom,) = [atoms for atoms in frames if len(atoms) == 1]
    assert is_free_atom(atom) and atom.get_potential_energy() == free.get_potential_energy()
    (repaired,) = [atoms for atoms in frames if atoms.get_potential_energy() == left.get_potential_energy()]
    assert load_node(repaired.info["source_uuid"]).get_array("energies")[repaired.info["source_step"]] == (
        left.get_potential_energy()
    )
