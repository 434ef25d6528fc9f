"""The fit to the user's own labelled structures."""

from __future__ import annotations

import numpy as np
import pytest
from aiida import orm
from aiida.engine import run_get_node
from aiida.manage.configuration import Profile
from ase import Atoms
from ase.build import bulk

from aiida_mlip_autopipec.cli.runs import _validation_config
from aiida_mlip_autopipec.config.errors import UserError
from aiida_mlip_autopipec.config.schemas.pipeline import TrainingRunConfig
from aiida_mlip_autopipec.dataset.frame_files import read_frames
from aiida_mlip_autopipec.dataset.trajectory import all_frames
from aiida_mlip_autopipec.pipelines.builders import build_training
from aiida_mlip_autopipec.pipelines.own_data import OwnDataWorkChain
from aiida_mlip_autopipec.pipelines.potentials import config_of_run_behind, stored_potential
from aiida_mlip_autopipec.provenance.queries import trace
from aiida_mlip_autopipec.runs.stages import stages

from ..conftest import label_by_emt

SMALL = {"n_functions": 12, "cutoff": 5.0, "order": 2, "energy_weight": 10.0, "ridge": 1e-6, "test_fraction": 0.2}


@pytest.fixture
def alloys() -> list[Atoms]:
    """Twelve cells of six formulas, whose atoms are not sorted by element, with EMT labels."""
    frames = []
    for number in range(12):
        atoms = bulk("Cu", cubic=True, a=3.6 + 0.03 * number).repeat((1, 1, 1 + number % 2))
        atoms.symbols[: number % 3] = "Au"
        atoms.symbols[-1] = "Au"
        atoms.rattle(0.05, seed=number)
        frames.append(label_by_emt(atoms))
    return frames


def test_own_data_are_one_node_which_each_structure_of_the_dataset_names(
    aiida_profile: Profile, alloys: list[Atoms]
) -> None:
    trajectories = orm.QueryBuilder().append(orm.TrajectoryData)
    before = trajectories.count()
    builder = build_training(alloys, TrainingRunConfig(**SMALL), "alloys.extxyz")
    assert trajectories.count() == before
    _, node = run_get_node(builder)
    assert node.is_finished_ok, node.exit_message
    labelled = node.inputs.labelled
    given = read_frames(labelled)
    frames = all_frames(node.outputs.dataset)
    assert len(frames) == 12 == node.outputs.curation_report["n_kept"]
    assert len(node.outputs.dataset) == len({atoms.get_chemical_formula() for atoms in alloys})
    for atoms in frames:
        assert atoms.info["source_uuid"] == labelled.uuid
        source = given[atoms.info["source_step"]]
        assert atoms.get_potential_energy() == source.get_potential_energy()
        order = np.argsort(source.get_chemical_symbols(), kind="stable")
        assert np.array_equal(atoms.get_forces(), source.get_forces()[order])
    (dataset,) = trace(node.outputs.potential).sources.datasets
    assert (dataset.files, dataset.structures) == ("alloys.extxyz", 12)
    assert [(stage.name, stage.state) for stage in stages(node)] == [("dataset", "done"), ("fit", "done")]


def test_oracle_of_a_fit_to_own_data_is_not_known_and_must_be_given(
    aiida_profile: Profile, alloys: list[Atoms]
) -> None:
    _, node = run_get_node(build_training(alloys, TrainingRunConfig(**SMALL), "alloys.extxyz"))
    potential = stored_potential(node)
    assert config_of_run_behind(potential.file) is None
    with pytest.raises(UserError, match="its oracle is not known"):
        _validation_config(potential, None, "", "quick")
    config = _validation_config(potential, {"oracle": {"type": "ase", "calculator": "emt"}}, "CONFIG.yaml", "quick")
    assert config.elements == ["Au", "Cu"] and config.validation.level == "quick"


def test_run_fails_with_the_reasons_if_all_structures_are_rejected(aiida_profile: Profile, alloys: list[Atoms]) -> None:
    config = TrainingRunConfig(**SMALL, curation={"max_force": 1e-6})
    _, node = run_get_node(build_training(alloys, config, "alloys.extxyz"))
    assert node.exit_status == OwnDataWorkChain.exit_codes.ERROR_CURATION_FAILED.status
    assert "force_too_large" in node.exit_message
    assert [(stage.name, stage.state) for stage in stages(node)] == [("dataset", "failed"), ("fit", "waiting")]


def test_data_without_training_structures_are_refused_before_a_run(aiida_profile: Profile, alloys: list[Atoms]) -> None:
    for atoms in alloys:
        atoms.info["split"] = "test"
    with pytest.raises(UserError, match="no training structure"):
        build_training(alloys, TrainingRunConfig(**SMALL), "alloys.extxyz")


def test_run_fails_if_all_training_structures_are_rejected(aiida_profile: Profile, alloys: list[Atoms]) -> None:
    for atoms in alloys[:-1]:
        atoms.info["split"] = "test"
    alloys[-1].info["split"] = "train"
    alloys[-1].calc.results["forces"] = alloys[-1].calc.results["forces"] + 1000.0
    config = TrainingRunConfig(**SMALL, curation={"max_force": 100.0})
    _, node = run_get_node(build_training(alloys, config, "alloys.extxyz"))
    assert node.exit_status == OwnDataWorkChain.exit_codes.ERROR_CURATION_FAILED.status
    assert "no training structure is left: 11 test" in node.exit_message
