"""Validation of potentials by effective medium theory (EMT)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiida import orm
from aiida.engine import run_get_node
from aiida.manage.configuration import Profile
from ase.build import bulk
from ase.io import write

from aiida_mlip_autopipec.config.errors import UserError
from aiida_mlip_autopipec.config.schemas.pipeline import PipelineConfig
from aiida_mlip_autopipec.config.schemas.structures import StructureSource
from aiida_mlip_autopipec.dataset.frame_files import count_structures
from aiida_mlip_autopipec.dataset.trajectory import all_frames
from aiida_mlip_autopipec.pipelines.builders import build_one_shot, build_validation
from aiida_mlip_autopipec.pipelines.one_shot import OneShotWorkChain
from aiida_mlip_autopipec.pipelines.potentials import (
    Potential,
    config_of_run_behind,
    elements_of_potential,
    potential_from_file,
    stored_potential,
)
from aiida_mlip_autopipec.runs.progress import is_run
from aiida_mlip_autopipec.runs.results import write_validation
from aiida_mlip_autopipec.runs.stages import stages
from aiida_mlip_autopipec.validation.workchain import ValidationWorkChain

from ..oracle.conftest import FAULTY, ROOT


def validate(potential: Potential, config: PipelineConfig, **changes: Any) -> orm.WorkChainNode:
    content = config.model_dump(mode="json")
    content["validation"].update(changes)
    _, node = run_get_node(build_validation(potential, PipelineConfig.model_validate(content)))
    return node


@pytest.fixture(scope="module")
def config(small_config: PipelineConfig) -> PipelineConfig:
    """Return settings for copper at a small scale, with short MD runs."""
    content = small_config.model_dump(mode="json")
    content["validation"]["dynamics"].update(nvt_steps=40, nve_steps=60, max_atoms=16)
    return PipelineConfig.model_validate(content)


@pytest.fixture(scope="module")
def run(aiida_profile: Profile, config: PipelineConfig) -> orm.WorkChainNode:
    """Return a run with a validated potential of too few structures and functions."""
    _, node = run_get_node(build_one_shot(config, validate=True))
    assert node.is_finished_ok, node.exit_message
    return node


@pytest.fixture(scope="module")
def poor(run: orm.WorkChainNode) -> Potential:
    """Return the potential of that run."""
    return stored_potential(run)


@pytest.fixture(scope="module")
def validated(run: orm.WorkChainNode) -> orm.WorkChainNode:
    """Return the validation of that run."""
    (node,) = [called for called in run.called if called.process_label == "ValidationWorkChain"]
    return node


def test_run_validates_its_potential_if_requested(run: orm.WorkChainNode, validated: orm.WorkChainNode) -> None:
    assert validated.inputs.potential.uuid == run.outputs.potential.uuid
    assert run.outputs.validation.uuid == validated.outputs.validation.uuid
    assert (stages(run)[-1].name, stages(run)[-1].state) == ("validation", "done")


def test_a_potential_of_too_few_structures_fails(validated: orm.WorkChainNode) -> None:
    verdict = validated.outputs.validation.get_dict()
    assert verdict["passed"] is False
    failed = {check["name"] for check in verdict["checks"] if not check["passed"]}
    assert len(failed) > 3
    assert all(check["reason"] for check in verdict["checks"] if not check["passed"])


def test_potential_and_oracle_label_the_same_structures(validated: orm.WorkChainNode) -> None:
    outputs = validated.outputs
    asked = outputs.oracle_report["asked"]
    assert 60 <= asked <= 120
    assert count_structures(outputs.labelled) == count_structures(outputs.predicted) == asked
    oracle = {atoms.info["family"]: atoms for atoms in all_frames(outputs.labelled)}
    for atoms in all_frames(outputs.predicted):
        assert np.array_equal(atoms.positions, oracle[atoms.info["family"]].positions)
        assert len(atoms) <= 32
    assert "extrapolation_grade" in {check["name"] for check in outputs.validation["checks"]}


def test_the_raw_arrays_are_stored(validated: orm.WorkChainNode) -> None:
    arrays = validated.outputs.arrays
    assert arrays.get_array("equation_of_state_Cu_fcc_oracle").shape == (7,)
    assert np.isfinite(arrays.get_array("dynamics_Cu_fcc_grade")).all()


def test_second_validation_reuses_all_labels(
    poor: Potential, validated: orm.WorkChainNode, config: PipelineConfig
) -> None:
    again = validate(poor, config, level="quick", limits={"bulk_modulus": 10.0})
    assert again.outputs.oracle_report["reused"] == again.outputs.oracle_report["asked"]
    assert not [node for node in again.called_descendants if node.process_label == "AseLabelCalculation"]
    assert is_run(again) and [stage.state for stage in stages(again)] == ["done", "done"]
    moduli = [check for check in again.outputs.validation["checks"] if check["name"] == "bulk_modulus"]
    assert {check["limit"] for check in moduli} == {10.0}


def test_phases_of_a_run_are_validated_by_the_run_and_by_validate(config: PipelineConfig, tmp_path: Path) -> None:
    write(tmp_path / "cu.cif", bulk("Cu", a=3.55, cubic=True))
    content = config.model_dump(mode="json")
    content["generator"]["seed"] = 7
    content["structures"] = [{"file": str(tmp_path / "cu.cif"), "role": "phase", "name": "ground state"}]
    content["validation"].update(parts=["equation_of_state", "elastic"])
    given = PipelineConfig.model_validate(content)
    _, node = run_get_node(build_one_shot(given, validate=True))
    assert node.is_finished_ok, node.exit_message
    assert structures_of(node.outputs.validation) == {"ground state"}
    (tmp_path / "cu.cif").unlink()
    write(tmp_path / "hcp.cif", bulk("Cu", "hcp", a=2.54))
    more = StructureSource(file=str(tmp_path / "hcp.cif"), name="hcp")
    _, again = run_get_node(build_validation(stored_potential(node), given, [more]))
    assert again.is_finished_ok, again.exit_message
    assert structures_of(again.outputs.validation) == {"ground state", "hcp"}
    hulls = [check for check in again.outputs.validation["checks"] if check["name"] == "hull_energy"]
    assert len(hulls) == 2 and min(check["oracle"] for check in hulls) == 0


def structures_of(validation: orm.Dict) -> set[str]:
    return {check["structure"] for check in validation["checks"]}


def test_result_files_of_a_validation(validated: orm.WorkChainNode, tmp_path: Path) -> None:
    names = {path.name for path in write_validation(validated, tmp_path)}
    assert names == {"validation.json", "labelled.extxyz", "predicted.extxyz"}


def test_imported_file_with_too_short_a_cutoff_fails_the_validation(
    run: orm.WorkChainNode, config: PipelineConfig, tmp_path: Path
) -> None:
    from aiida_mlip_autopipec.config.schemas.training import TrainingConfig
    from aiida_mlip_autopipec.trainer.database import DatabaseManager
    from aiida_mlip_autopipec.trainer.pacemaker import PacemakerWrapper

    DatabaseManager().save_dataset(all_frames(run.outputs.dataset), tmp_path / "copper.traj")
    short = TrainingConfig(n_functions=15, cutoff=2.8, order=3)
    yace = PacemakerWrapper(tmp_path / "fit", workers=1).train(tmp_path / "copper.traj", short)
    potential = potential_from_file(yace)
    assert potential.elements == ("Cu",) and potential.active_set.keys() == {"yaml", "asi"}
    assert potential_from_file(yace).file.uuid == potential.file.uuid
    assert config_of_run_behind(potential.file) is None
    node = validate(potential, config, level="quick")
    assert node.is_finished_ok, node.exit_message
    assert node.outputs.validation["passed"] is False


def test_settings_of_the_run_that_made_a_potential_are_found(poor: Potential, config: PipelineConfig) -> None:
    assert config_of_run_behind(poor.file) == config


def test_file_that_is_not_a_potential_is_refused(config: PipelineConfig, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        potential_from_file(tmp_path / "missing.yace")
    with pytest.raises(UserError, match="names no elements"):
        elements_of_potential(b"something else", "a.yace")
    graded = tmp_path / "graded.yace"
    graded.write_text("elements: [Cu]\n")
    graded.with_suffix(".yaml").touch()
    # A file that not even root can read.
    graded.with_suffix(".asi").symlink_to("/proc/self/mem")
    with pytest.raises(UserError, match=r"graded\.asi: cannot be read: "):
        potential_from_file(graded)
    broken = tmp_path / "broken.yace"
    broken.write_text("elements: [Cu]\nfunctions: none\n")
    node = validate(potential_from_file(broken), config, level="quick")
    assert node.exit_status == ValidationWorkChain.exit_codes.ERROR_POTENTIAL_UNUSABLE.status
    assert "potential.yace cannot be loaded" in node.exit_message


def test_elements_missing_in_the_potential_are_refused(poor: Potential) -> None:
    with pytest.raises(UserError, match="the potential has Cu, not Al"):
        build_validation(poor, PipelineConfig(elements=["Al", "Cu"]))
    with pytest.raises(UserError, match="not a potential"):
        stored_potential(orm.Dict({}).store())


def test_check_without_label_of_the_oracle_fails_with_the_reason(poor: Potential, config: PipelineConfig) -> None:
    content = config.model_dump(mode="json")
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


def test_labelling_that_excepts_gives_its_exception_as_reason(poor: Potential, config: PipelineConfig) -> None:
    content = config.model_dump(mode="json")
    content["validation"] = {"level": "quick", "parts": ["equation_of_state"]}
    builder = build_validation(poor, PipelineConfig.model_validate(content))
    builder.type = orm.Str("unknown")
    _, node = run_get_node(builder)
    assert node.exit_status == ValidationWorkChain.exit_codes.ERROR_ORACLE_FAILED.status
    assert "there is no oracle of the type 'unknown'" in node.exit_message


def test_a_potential_that_could_not_be_validated_is_kept(
    run: orm.WorkChainNode, config: PipelineConfig, tmp_path: Path
) -> None:
    script = tmp_path / "code" / "validate_potential"
    script.parent.mkdir()
    script.write_text("#!/bin/sh\nexit 127\n")
    builder = build_one_shot(config)
    builder.validator = orm.PortableCode(
        label="broken", filepath_executable=script.name, filepath_files=script.parent
    ).store()
    _, node = run_get_node(builder)
    assert node.exit_status == OneShotWorkChain.exit_codes.ERROR_NOT_VALIDATED.status
    assert "could not be started" in node.exit_message
    assert "potential" in node.outputs and "validation" not in node.outputs
    assert stages(node)[-1].name == "validation" and stages(node)[-1].state == "failed"
