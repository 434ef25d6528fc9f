"""A small run with a teacher: the labels of teacher and oracle, the dataset, the provenance and the report."""

from __future__ import annotations

import html
from typing import Any

import pytest
from aiida import orm
from aiida.engine import run_get_node
from aiida.manage.configuration import Profile

from aiida_mlip_autopipec.config.errors import UserError
from aiida_mlip_autopipec.config.schemas.pipeline import PipelineConfig
from aiida_mlip_autopipec.dataset.frame_files import count_structures
from aiida_mlip_autopipec.dataset.trajectory import METHOD, all_frames
from aiida_mlip_autopipec.pipelines.builders import build_learning, build_one_shot
from aiida_mlip_autopipec.pipelines.one_shot import OneShotWorkChain
from aiida_mlip_autopipec.provenance.calls import TEACH, called_by
from aiida_mlip_autopipec.provenance.queries import find_potentials, trace
from aiida_mlip_autopipec.provenance.teachers import OF_TEACHER
from aiida_mlip_autopipec.report.collect import collect
from aiida_mlip_autopipec.report.findings import all_findings
from aiida_mlip_autopipec.report.page import render
from aiida_mlip_autopipec.runs.stages import stages

WALKERS = {
    "nvt": 2,
    "npt": 0,
    "vacancy": 0,
    "surface": 0,
    "cluster": 1,
    "deformation": 1,
    "relaxation": 2,
    "melt_quench": 1,
}

SETTINGS: dict[str, Any] = {
    "elements": ["Cu"],
    "generator": {"count": 20, "max_atoms": 4},
    # A small pool, so that explored frames are selected too.
    "selection": {"pool": 1, "n_functions": 40},
    # Methods that no other test uses: no labels are reused, since the jobs are counted.
    "oracle": {"parameters": {"asap_cutoff": True}, "reuse": False},
    "teacher": {
        "oracle": {"type": "ase", "calculator": "emt", "reuse": False},
        "n_structures": 24,
        "save_interval": 20,
    },
    "training": {"n_functions": 15, "cutoff": 5.0, "order": 3, "test_fraction": 0.2},
    "exploration": {"walkers": WALKERS, "max_atoms": 8, "steps": 60, "melt_quench_steps": 60},
    "learning": {"start": 20, "labels_per_round": 3, "max_labels": 23, "fewest_fresh": 1},
}


@pytest.fixture(scope="module")
def learned(aiida_profile: Profile) -> orm.WorkChainNode:
    """Return a finished run of active learning with a teacher."""
    _, node = run_get_node(build_learning(PipelineConfig(**SETTINGS)))
    assert node.is_finished_ok, node.exit_message
    return node


@pytest.fixture(scope="module")
def taught(learned: orm.WorkChainNode) -> orm.WorkChainNode:
    """Return the start of that run, a one-shot run with a teacher."""
    return called_by(learned)["start"]


def test_oracle_labels_only_structures_selected_from_pool_and_exploration(taught: orm.WorkChainNode) -> None:
    called = called_by(taught)
    assert list(called) == [TEACH, "explore", "select", "label", "train"]
    explored = called["explore"].outputs.candidates
    assert count_structures(explored) > 0
    pool = count_structures(taught.outputs.pool)
    assert taught.outputs.selection_report["n_candidates"] == pool + count_structures(explored)
    assert taught.outputs.oracle_report["asked"] == 20 == count_structures(taught.outputs.structures)
    selected = {atoms.info["source_uuid"] for atoms in all_frames(taught.outputs.structures)}
    assert selected & {node.uuid for node in explored.values()}
    assert selected & {node.uuid for node in taught.outputs.pool.values()}


def test_labels_of_the_teacher_are_not_in_the_dataset(taught: orm.WorkChainNode) -> None:
    oracle = taught.inputs.oracle.method.get_dict()
    teacher = taught.inputs.teacher.oracle.method.get_dict()
    assert oracle != teacher
    assert {str(node.base.attributes.get(METHOD)) for node in taught.outputs.dataset.values()} == {str(oracle)}
    of_oracle = set()
    for atoms in all_frames(taught.outputs.dataset):
        job = orm.load_node(atoms.info["calculation"])
        assert job.inputs.method.get_dict() == oracle
        of_oracle.add(job.uuid)
    run = called_by(taught)[TEACH]
    assert {str(node.base.attributes.get(METHOD)) for node in run.outputs.dataset.values()} == {str(teacher)}
    assert run.outputs.oracle_report["asked"] == 24
    assert not of_oracle & {node.uuid for node in run.called_descendants}
    outputs = taught.outputs.teacher
    assert outputs.oracle_report.uuid == run.outputs.oracle_report.uuid
    assert outputs.potential_yaml.uuid == run.outputs.potential_yaml.uuid
    assert outputs.exploration["candidates"] == count_structures(called_by(taught)["explore"].outputs.candidates)


def test_fit_chooses_whether_the_teacher_is_the_prior(learned: orm.WorkChainNode, taught: orm.WorkChainNode) -> None:
    for run in (taught, learned):
        trainer = run.outputs.metrics.creator.caller
        assert trainer.inputs.teacher.uuid == taught.outputs.teacher.potential_yaml.uuid
        assert set(run.outputs.metrics["teacher"]["candidates"]) == {"no prior", "prior", "prior with offset"}
    assert "teacher" not in called_by(called_by(taught)[TEACH])["train"].inputs


def test_provenance_marks_the_teacher_and_does_not_count_its_structures(taught: orm.WorkChainNode) -> None:
    origin = trace(taught.outputs.potential)
    counts = {process.label: process.count for process in origin.processes}
    assert counts["AseLabelCalculation"] == counts[f"AseLabelCalculation{OF_TEACHER}"] == 1
    assert counts["generate_structures"] == counts[f"generate_structures{OF_TEACHER}"] == 1
    assert origin.n_structures_generated == count_structures(taught.outputs.pool)
    assert origin.settings["AseLabelCalculation"]["parameters"] == {"asap_cutoff": True}
    assert trace(taught.outputs.teacher.potential_yaml).n_structures_generated == 24


def test_the_list_of_potentials_marks_that_of_the_teacher(
    learned: orm.WorkChainNode, taught: orm.WorkChainNode
) -> None:
    marked = {potential.pk: potential.of_teacher for potential in find_potentials()}
    assert marked[called_by(taught)[TEACH].outputs.potential.pk]
    assert not marked[taught.outputs.potential.pk] and not marked[learned.outputs.potential.pk]


def test_report_has_a_finding_on_the_teacher(learned: orm.WorkChainNode) -> None:
    subject = collect(learned)
    assert (subject.teacher["name"], subject.teacher["labelled"]) == ("emt", 24)
    chosen = called_by(called_by(learned)["start"])["select"].outputs.report["chosen"]
    assert subject.teacher["selected"] == sum(entry["label"] != "pool" for entry in chosen)
    (finding,) = [finding for finding in all_findings(subject) if finding.text.startswith("Teacher emt")]
    assert "labelled 24 structures; its labels are not in the dataset, nor in the numbers of labels" in finding.text
    assert finding.text in html.unescape(render(subject))


def test_the_teacher_is_a_stage_of_the_run(taught: orm.WorkChainNode) -> None:
    first = stages(taught)[0]
    explored = taught.outputs.teacher.exploration["candidates"]
    assert (first.name, first.state) == ("teacher", "done")
    assert first.detail == f"24 labelled by the teacher, {explored} saved by exploration"


def test_samplers_save_frames_at_intervals(taught: orm.WorkChainNode) -> None:
    explored = all_frames(called_by(taught)["explore"].outputs.candidates)
    small = [atoms for atoms in explored if atoms.info["grade"] < 2.0]
    assert {"explored_md", "explored_relaxation"} & {atoms.info["family"] for atoms in small}
    report = called_by(taught)["explore"].outputs.report
    assert report["limits"]["stop_grade"] == report["limits"]["select_grade"] == 2.0


def test_continued_run_keeps_the_teacher_of_the_first_run(
    learned: orm.WorkChainNode, taught: orm.WorkChainNode
) -> None:
    assert learned.outputs.oracle_report["asked"] == 23
    assert learned.outputs.teacher.potential_yaml.uuid == taught.outputs.teacher.potential_yaml.uuid
    more = PipelineConfig(**{**SETTINGS, "learning": {**SETTINGS["learning"], "max_labels": 25}})
    _, again = run_get_node(build_learning(more, previous=learned))
    assert again.is_finished_ok, again.exit_message
    assert "start" not in called_by(again)
    assert again.outputs.teacher.potential_yaml.uuid == taught.outputs.teacher.potential_yaml.uuid


def test_run_fails_if_the_teacher_fails(aiida_profile: Profile) -> None:
    # Fewer atoms than functions.
    teacher = {"oracle": {"calculator": "emt"}, "n_structures": 6}
    _, node = run_get_node(build_one_shot(PipelineConfig(**{**SETTINGS, "teacher": teacher})))
    assert node.exit_status == OneShotWorkChain.exit_codes.ERROR_TEACHER_FAILED.status
    assert node.exit_message.startswith("the teacher failed: training failed: 15 functions")
    assert "oracle_report" not in node.outputs


def test_teacher_with_the_method_of_the_oracle_is_refused(aiida_profile: Profile) -> None:
    teacher = {"oracle": {"calculator": "emt", "parameters": {"asap_cutoff": True}}}
    with pytest.raises(UserError, match="is the method of the oracle; set another method"):
        build_one_shot(PipelineConfig(**{**SETTINGS, "teacher": teacher}))


def test_a_config_with_a_teacher_needs_its_inputs(aiida_profile: Profile) -> None:
    builder = build_one_shot(PipelineConfig(**{**SETTINGS, "teacher": None}))
    builder.config = orm.Dict(PipelineConfig(**SETTINGS).model_dump(mode="json"))
    with pytest.raises(ValueError, match="give its inputs as `teacher`"):
        run_get_node(builder)
