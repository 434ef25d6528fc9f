"""The validation of real potentials by real effective medium theory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiida import orm
from aiida.engine import run_get_node

from aiida_mlip_autopipec.config.read import ConfigError
from aiida_mlip_autopipec.config.schemas.pipeline import PipelineConfig
from aiida_mlip_autopipec.dataset.trajectory import all_frames, count_frames
from aiida_mlip_autopipec.workflows.builder import build_one_shot, build_validation
from aiida_mlip_autopipec.workflows.potentials import (
    Potential,
    elements_of,
    potential_from_file,
    settings_of,
    stored_potential,
)
from aiida_mlip_autopipec.workflows.progress import is_run, stages
from aiida_mlip_autopipec.workflows.results import write_validation
from aiida_mlip_autopipec.workflows.validation import ValidationWorkChain

from ..oracle.conftest import FAULTY, ROOT

SHORT = {"nvt_steps": 40, "nve_steps": 60, "max_atoms": 16}


def validate(potential: Potential, config: PipelineConfig, **changes: Any) -> orm.WorkChainNode:
    content = config.model_dump(mode="json")
    content["validation"].update({"dynamics": {**content["validation"]["dynamics"], **SHORT}, **changes})
    _, node = run_get_node(build_validation(potential, PipelineConfig.model_validate(content)))
    return node


@pytest.fixture(scope="module")
def poor(finished_run: orm.WorkChainNode) -> Potential:
    """A potential of too few structures and functions."""
    return stored_potential(finished_run)


@pytest.fixture(scope="module")
def validated(poor: Potential, small_config: PipelineConfig) -> orm.WorkChainNode:
    """Its validation."""
    node = validate(poor, small_config)
    assert node.is_finished_ok, node.exit_message
    return node


def test_a_potential_of_too_few_structures_fails(validated: orm.WorkChainNode) -> None:
    verdict = validated.outputs.validation.get_dict()
    assert verdict["passed"] is False
    failed = {check["name"] for check in verdict["checks"] if not check["passed"]}
    assert len(failed) > 3
    assert all(check["reason"] for check in verdict["checks"] if not check["passed"])


def test_both_sides_labelled_the_same_structures(validated: orm.WorkChainNode) -> None:
    outputs = validated.outputs
    asked = outputs.oracle_report["asked"]
    assert 60 <= asked <= 120
    assert count_frames(outputs.labelled) == count_frames(outputs.predicted) == asked
    oracle = {atoms.info["family"]: atoms for atoms in all_frames(outputs.labelled)}
    for atoms in all_frames(outputs.predicted):
        assert np.array_equal(atoms.positions, oracle[atoms.info["family"]].positions)
        assert len(atoms) <= 32
    assert "extrapolation_grade" in {check["name"] for check in outputs.validation["checks"]}


def test_the_raw_arrays_are_stored(validated: orm.WorkChainNode) -> None:
    arrays = validated.outputs.arrays
    assert arrays.get_array("equation_of_state_Cu_fcc_oracle").shape == (7,)
    assert np.isfinite(arrays.get_array("dynamics_Cu_fcc_grade")).all()


def test_another_validation_asks_the_oracle_nothing(
    poor: Potential, validated: orm.WorkChainNode, small_config: PipelineConfig
) -> None:
    again = validate(poor, small_config, level="quick", limits={"bulk_modulus": 10.0})
    assert again.outputs.oracle_report["reused"] == again.outputs.oracle_report["asked"]
    assert not [node for node in again.called_descendants if node.process_label == "AseLabelCalculation"]
    moduli = [check for check in again.outputs.validation["checks"] if check["name"] == "bulk_modulus"]
    assert {check["limit"] for check in moduli} == {10.0}


def test_it_is_a_run_with_files(validated: orm.WorkChainNode, tmp_path: Path) -> None:
    assert is_run(validated)
    assert [stage.state for stage in stages(validated)] == ["done", "done"]
    names = {path.name for path in write_validation(validated, tmp_path)}
    assert names == {"validation.json", "labelled.extxyz", "predicted.extxyz"}


def test_a_file_from_elsewhere_with_too_short_a_cutoff_fails(
    finished_run: orm.WorkChainNode, small_config: PipelineConfig, tmp_path: Path
) -> None:
    from aiida_mlip_autopipec.config.schemas.training import TrainingConfig
    from aiida_mlip_autopipec.trainer.database import DatabaseManager
    from aiida_mlip_autopipec.trainer.pacemaker import PacemakerWrapper

    DatabaseManager().save_dataset(all_frames(finished_run.outputs.dataset), tmp_path / "copper.traj")
    short = TrainingConfig(n_functions=15, cutoff=2.8, order=3)
    yace = PacemakerWrapper(tmp_path / "fit", workers=1).train(tmp_path / "copper.traj", short)
    potential = potential_from_file(yace)
    assert potential.elements == ("Cu",) and potential.active_set.keys() == {"yaml", "asi"}
    assert potential_from_file(yace).file.uuid == potential.file.uuid
    assert settings_of(potential.file) is None
    node = validate(potential, small_config, level="quick")
    assert node.is_finished_ok, node.exit_message
    assert node.outputs.validation["passed"] is False


def test_the_settings_of_the_run_that_made_a_potential_are_known(poor: Potential, small_config: PipelineConfig) -> None:
    assert settings_of(poor.file) == small_config


def test_a_file_that_is_no_potential(small_config: PipelineConfig, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        potential_from_file(tmp_path / "missing.yace")
    with pytest.raises(ConfigError, match="names no elements"):
        elements_of(b"something else", "a.yace")
    broken = tmp_path / "broken.yace"
    broken.write_text("elements: [Cu]\nfunctions: none\n")
    node = validate(potential_from_file(broken), small_config, level="quick")
    assert node.exit_status == ValidationWorkChain.exit_codes.ERROR_POTENTIAL_UNUSABLE.status
    assert "potential.yace cannot be loaded" in node.exit_message


def test_elements_that_the_potential_does_not_know(poor: Potential) -> None:
    with pytest.raises(ConfigError, match="the potential knows Cu, not Al"):
        build_validation(poor, PipelineConfig(elements=["Al", "Cu"]))
    with pytest.raises(ConfigError, match="no potential"):
        stored_potential(orm.Dict({}).store())


def test_what_an_oracle_cannot_label_fails_by_name(poor: Potential, small_config: PipelineConfig) -> None:
    content = small_config.model_dump(mode="json")
    content["oracle"].update(calculator=FAULTY, parameters={"faults": {"31": "exception"}}, max_failed_fraction=0.5)
    content["validation"] = {"parts": ["elastic", "vacancy"]}
    builder = build_validation(poor, PipelineConfig.model_validate(content))
    resources = builder.oracle["resources"].get_dict()
    resources["prepend_text"] += f"\nexport PYTHONPATH={ROOT}"
    builder.oracle["resources"] = orm.Dict(resources)
    _, node = run_get_node(builder)
    assert node.is_finished_ok, node.exit_message
    (missing,) = [check for check in node.outputs.validation["checks"] if check["name"] == "vacancy_formation_energy"]
    assert not missing["passed"] and missing["reason"] == "oracle: 'Cu fcc vacancy' has no label"


def test_a_run_validates_its_potential_if_asked(small_config: PipelineConfig) -> None:
    content = small_config.model_dump(mode="json")
    content["validation"].update(level="quick", dynamics=SHORT)
    _, node = run_get_node(build_one_shot(PipelineConfig.model_validate(content), validate=True))
    assert node.is_finished_ok, node.exit_message
    assert node.outputs.validation["passed"] is False
    (validation,) = [called for called in node.called if called.process_label == "ValidationWorkChain"]
    assert validation.inputs.potential.uuid == node.outputs.potential.uuid
    assert [stage.name for stage in stages(node)][-1] == "validation"
    assert stages(node)[-1].state == "done"
