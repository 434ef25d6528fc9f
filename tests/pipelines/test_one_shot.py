"""The complete pipeline with EMT and the trainer, and each of its failures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiida import orm
from aiida.engine import run_get_node
from ase.build import bulk

from aiida_mlip_autopipec.config.schemas.pipeline import PipelineConfig
from aiida_mlip_autopipec.config.schemas.selection import SelectionConfig
from aiida_mlip_autopipec.dataset.frame_files import count_structures, read_frames
from aiida_mlip_autopipec.dataset.trajectory import frames_with_source, to_atoms
from aiida_mlip_autopipec.pipelines.builders import build_one_shot
from aiida_mlip_autopipec.pipelines.one_shot import OneShotWorkChain
from aiida_mlip_autopipec.provenance.queries import trace
from aiida_mlip_autopipec.runs.stages import stages

from ..conftest import label_by_emt
from ..oracle.conftest import FAULTY, ROOT


def run_changed(config: PipelineConfig, **changes: Any) -> orm.WorkChainNode:
    """Run the pipeline with some settings changed."""
    content = config.model_dump(mode="json")
    for section, values in changes.items():
        content[section] = {**content[section], **values} if isinstance(values, dict) else values
    _, node = run_get_node(build_one_shot(PipelineConfig.model_validate(content)))
    return node


def test_run_gives_a_potential_that_can_be_evaluated(finished_run: orm.WorkChainNode, tmp_path: Path) -> None:
    from pyace import PyACECalculator

    assert finished_run.outputs.potential.filename == "potential.yace"
    path = tmp_path / "potential.yace"
    path.write_bytes(finished_run.outputs.potential.get_content(mode="rb"))
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.05, seed=3)
    reference = label_by_emt(atoms)
    atoms.calc = PyACECalculator(str(path))
    e0 = finished_run.outputs.metrics["reference_energies_eV"]["Cu"]
    energy = atoms.get_potential_energy() + len(atoms) * e0
    assert energy / len(atoms) == pytest.approx(reference.get_potential_energy() / len(atoms), abs=0.2)
    assert np.abs(atoms.get_forces() - reference.get_forces()).max() < 0.5


def test_numbers_of_structures_agree_from_stage_to_stage(
    finished_run: orm.WorkChainNode, small_config: PipelineConfig
) -> None:
    outputs = finished_run.outputs
    made = count_structures(outputs.structures)
    oracle, curation = outputs.oracle_report.get_dict(), outputs.curation_report.get_dict()
    assert made == small_config.generator.count
    assert oracle["asked"] == made
    assert curation["n_input"] == oracle["labelled"]
    assert curation["n_kept"] + len(curation["rejections"]) == curation["n_input"]
    metrics = outputs.metrics.get_dict()
    assert metrics["train"]["n_structures"] == curation["n_train"]
    assert metrics["test"]["n_structures"] == curation["n_test"]


def test_every_frame_of_the_dataset_names_its_generated_structure(finished_run: orm.WorkChainNode) -> None:
    for trajectory in finished_run.outputs.dataset.values():
        for atoms in to_atoms(trajectory):
            labelled = orm.load_node(atoms.info["source_uuid"])
            assert labelled.creator.process_label == "AseLabelCalculation"
            original = to_atoms(labelled, [atoms.info["source_step"]])[0]
            assert original.get_potential_energy() == atoms.get_potential_energy()
            generated = orm.load_node(original.info["source_uuid"])
            assert generated.creator.process_label == "generate_structures"
            assert np.array_equal(to_atoms(generated, [original.info["source_step"]])[0].positions, atoms.positions)


def test_isolated_atom_is_in_the_training_set(finished_run: orm.WorkChainNode) -> None:
    frames = frames_with_source(finished_run.outputs.dataset)
    (isolated,) = [atoms for atoms in frames if atoms.info["family"] == "isolated_atom"]
    assert isolated.info["split"] == "train"
    assert finished_run.outputs.metrics["reference_energies_source"] == "isolated_atoms"


def test_run_fails_with_too_many_failed_labels(small_config: PipelineConfig) -> None:
    oracle = {"calculator": FAULTY, "parameters": {"faults": {"1": "exception", "2": "exception"}}}
    content = small_config.model_dump(mode="json")
    content["oracle"].update(oracle)
    builder = build_one_shot(PipelineConfig.model_validate(content))
    resources = builder.oracle["resources"].get_dict()
    resources["prepend_text"] += f"\nexport PYTHONPATH={ROOT}"
    builder.oracle["resources"] = orm.Dict(resources)
    _, node = run_get_node(builder)
    assert node.exit_status == OneShotWorkChain.exit_codes.ERROR_ORACLE_FAILED.status
    assert "SCF did not converge" in node.exit_message
    assert node.outputs.oracle_report["labelled"] > 0


def test_second_run_computes_no_labels_and_a_larger_one_only_new_ones(
    finished_run: orm.WorkChainNode, small_config: PipelineConfig
) -> None:
    def energies(run: orm.WorkChainNode) -> list[float]:
        return sorted(atoms.get_potential_energy() for atoms in frames_with_source(run.outputs.dataset))

    again = run_changed(small_config)
    assert again.is_finished_ok, again.exit_message
    assert not [node for node in again.called_descendants if node.process_label == "AseLabelCalculation"]
    assert energies(again) == energies(finished_run)
    assert again.outputs.metrics["test"] == finished_run.outputs.metrics["test"]

    larger = run_changed(small_config, generator={"count": small_config.generator.count + 6})
    assert larger.is_finished_ok, larger.exit_message
    assert larger.outputs.oracle_report["reused"] == small_config.generator.count
    assert larger.outputs.oracle_report["asked"] == small_config.generator.count + 6


SELECTING = {"method": "d_optimal", "pool": 3, "block": 12, "n_functions": 40}


@pytest.fixture(scope="module")
def selected_run(small_config: PipelineConfig) -> orm.WorkChainNode:
    """Return a run that labels a selection of its structures."""
    node = run_changed(small_config, selection=SELECTING)
    assert node.is_finished_ok, node.exit_message
    return node


def test_only_selected_structures_are_labelled(selected_run: orm.WorkChainNode, small_config: PipelineConfig) -> None:
    outputs = selected_run.outputs
    count = small_config.generator.count
    pool = read_frames(outputs.pool.pool)
    chosen = outputs.selection_report["chosen"]
    assert count_structures(outputs.structures) == count == outputs.oracle_report["asked"] == len(chosen)
    assert 2 * count < len(pool) <= 3 * count
    always = [atoms for atoms in pool if atoms.info["family"] in ("isolated_atom", "dimer")]
    assert sum(one["reason"] == "required" for one in chosen) == len(always) < count / 4
    states = {stage.name: (stage.state, stage.detail) for stage in stages(selected_run)}
    assert list(states) == ["structures", "selection", "labels", "dataset", "fit"]
    assert states["selection"] == ("done", f"{count} of {len(pool)} selected, {len(always)} of them always included")


def test_provenance_of_selected_structures_includes_pool_and_selection(selected_run: orm.WorkChainNode) -> None:
    for trajectory in selected_run.outputs.structures.values():
        assert trajectory.creator.process_label == "take_selected"
        for atoms in to_atoms(trajectory):
            candidate = orm.load_node(atoms.info["source_uuid"])
            assert candidate.creator.process_label == "generate_structures"
            assert np.array_equal(read_frames(candidate)[atoms.info["source_step"]].positions, atoms.positions)
    origin = trace(selected_run.outputs.potential)
    # The provenance of reused labels includes structures of other runs.
    assert {node.uuid for node in selected_run.outputs.pool.values()} <= origin.structures.keys()
    assert origin.n_structures_generated >= count_structures(selected_run.outputs.pool)
    assert origin.n_structures_selected == count_structures(selected_run.outputs.structures)
    processes = {process.label for process in origin.processes}
    assert {"write_selection_files", "take_selected"} < processes
    assert any(label.startswith("ShellJob<select_structures") for label in processes)


def test_larger_run_selects_the_same_structures_and_additional_ones(
    selected_run: orm.WorkChainNode, small_config: PipelineConfig
) -> None:
    more = run_changed(small_config, selection=SELECTING, generator={"count": 30})
    assert more.is_finished_ok, more.exit_message
    assert more.outputs.oracle_report["asked"] == 30
    # Labels of equal structures in other runs are reused too.
    assert more.outputs.oracle_report["reused"] >= small_config.generator.count
    keys = [
        {(str(atoms.positions), str(atoms.cell.array)) for atoms in frames_with_source(run.outputs.structures)}
        for run in (selected_run, more)
    ]
    assert keys[0] < keys[1]


def test_structures_of_the_initial_dataset_count_as_selected(
    selected_run: orm.WorkChainNode, small_config: PipelineConfig
) -> None:
    config = small_config.model_copy(
        update={"initial_dataset": [str(selected_run.pk)], "selection": SelectionConfig(**SELECTING)}
    )
    _, node = run_get_node(build_one_shot(config))
    assert node.is_finished_ok, node.exit_message
    report = node.outputs.selection_report
    assert report["n_known"] == count_structures(selected_run.outputs.dataset)
    old = {(str(atoms.positions), str(atoms.cell.array)) for atoms in frames_with_source(selected_run.outputs.dataset)}
    again = [
        atoms
        for atoms in frames_with_source(node.outputs.structures)
        if (str(atoms.positions), str(atoms.cell.array)) in old
    ]
    assert {atoms.info["family"] for atoms in again} <= {"isolated_atom", "dimer"}


def test_run_fails_if_the_selection_fails(small_config: PipelineConfig, tmp_path: Path) -> None:
    content = small_config.model_dump(mode="json") | {"selection": SELECTING}
    builder = build_one_shot(PipelineConfig.model_validate(content))
    resources = builder.trainer.resources.get_dict()
    (tmp_path / "pyace.py").write_text("raise ImportError('no pyace here')")
    resources["prepend_text"] += f"\nexport PYTHONPATH={tmp_path}"
    builder.trainer.resources = orm.Dict(resources)
    _, node = run_get_node(builder)
    assert node.exit_status == OneShotWorkChain.exit_codes.ERROR_SELECTION_FAILED.status
    assert "pip install" in node.exit_message
    assert [(stage.name, stage.state) for stage in stages(node)][:3] == [
        ("structures", "done"),
        ("selection", "failed"),
        ("labels", "waiting"),
    ]


def test_a_selection_without_its_program_is_refused(small_config: PipelineConfig) -> None:
    builder = build_one_shot(small_config)
    builder.config = orm.Dict(small_config.model_dump(mode="json") | {"selection": SELECTING})
    with pytest.raises(ValueError, match="give the portable code `select_structures`"):
        run_get_node(builder)
