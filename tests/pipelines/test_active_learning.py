"""Active learning of copper at a small scale: labels, stop reasons, and results after failures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiida import orm
from aiida.engine import run_get_node
from aiida.manage.configuration import Profile
from ase import Atoms

from aiida_mlip_autopipec.config.errors import UserError
from aiida_mlip_autopipec.config.schemas.pipeline import PipelineConfig
from aiida_mlip_autopipec.dataset.trajectory import all_frames
from aiida_mlip_autopipec.learning import history as rounds
from aiida_mlip_autopipec.oracle.workchain import LabellingWorkChain
from aiida_mlip_autopipec.pipelines.active_learning import ActiveLearningWorkChain
from aiida_mlip_autopipec.pipelines.builders import build_learning
from aiida_mlip_autopipec.pipelines.learning_state import learning_state
from aiida_mlip_autopipec.provenance.calls import called_by
from aiida_mlip_autopipec.report.collect import collect
from aiida_mlip_autopipec.report.page import render
from aiida_mlip_autopipec.runs.control import restart_builder
from aiida_mlip_autopipec.runs.stages import stages
from aiida_mlip_autopipec.selection.workchain import SelectionWorkChain

WALKERS = {
    "nvt": 1,
    "npt": 0,
    "vacancy": 0,
    "surface": 0,
    "cluster": 2,
    "deformation": 3,
    "relaxation": 2,
    "melt_quench": 0,
}

SETTINGS: dict[str, Any] = {
    "elements": ["Cu"],
    "generator": {"max_atoms": 4},
    # A method that no other test uses, so that no labels are reused.
    "oracle": {"parameters": {"asap_cutoff": True}},
    "training": {"n_functions": 15, "cutoff": 5.0, "order": 3, "test_fraction": 0.2},
    "exploration": {"walkers": WALKERS, "max_atoms": 8, "steps": 60, "select_grade": 1.2},
    "learning": {"start": 15, "labels_per_round": 3, "max_labels": 21, "fewest_fresh": 1},
}

BROKEN = """
from ase.calculators.emt import EMT
computed = EMT.calculate
def calculate(self, atoms=None, properties=None, system_changes=()):
    computed(self, atoms, properties or ["energy"], system_changes)
    if {condition}:
        raise RuntimeError("no convergence")
EMT.calculate = calculate
"""
"""Code run at the start of a Python process: the oracle fails for some structures without a label."""


def configured(**changes: dict[str, Any]) -> PipelineConfig:
    return PipelineConfig(**{**SETTINGS, **{key: {**SETTINGS.get(key, {}), **value} for key, value in changes.items()}})


def learn(
    config: PipelineConfig, previous: orm.WorkChainNode | None = None, validate: bool = False
) -> orm.WorkChainNode:
    _, node = run_get_node(build_learning(config, validate=validate, previous=previous))
    return node


def labels_asked(node: orm.WorkChainNode) -> int:
    return int(node.outputs.oracle_report["asked"])


def sources(node: orm.WorkChainNode) -> set[tuple[str, int]]:
    return {(atoms.info["source_uuid"], atoms.info["source_step"]) for atoms in all_frames(node.outputs.dataset)}


def breaking(folder: Path, condition: str) -> dict[str, Any]:
    (folder / "sitecustomize.py").write_text(BROKEN.format(condition=condition))
    return {"oracle": {"prepend_text": f"export PYTHONPATH={folder}"}}


@pytest.fixture(scope="module")
def reached(aiida_profile: Profile) -> orm.WorkChainNode:
    """Return a run that has reached its target in the first round, and validated its potential."""
    node = learn(configured(learning={"target_force_rmse": 100.0}, validation={"parts": ["elastic"]}), validate=True)
    assert node.is_finished_ok, node.exit_message
    return node


@pytest.fixture(scope="module")
def learned(reached: orm.WorkChainNode) -> orm.WorkChainNode:
    """Return a run that continues from the run `reached`, and has used its budget of labels."""
    node = learn(configured(), previous=reached)
    assert node.is_finished_ok, node.exit_message
    return node


def test_budget_is_used_for_explored_structures(learned: orm.WorkChainNode) -> None:
    history = learned.outputs.learning.get_dict()
    assert history["ended"] == "budget"
    assert labels_asked(learned) == 21 == history["rounds"][-1]["total"] == history["asked"]
    assert [row["asked"] for row in history["rounds"]][:2] == [15, 3]
    frames = all_frames(learned.outputs.dataset)
    explored = [atoms for atoms in frames if atoms.info["family"].startswith("explored_")]
    assert 0 < len(explored) <= 6
    assert len(history["points"]) == 6
    for point in history["points"]:
        limit = history["rounds"][point["round"]]["select_grade"]
        assert point["grade"] >= 0.99 * limit
    # The potential is that of the last fit, with the labels of all rounds.
    assert learned.outputs.potential.creator.caller.caller == learned
    assert learned.outputs.metrics["train"]["n_structures"] + learned.outputs.metrics["test"]["n_structures"] == len(
        frames
    )


def test_each_frame_names_its_calculation_and_its_source(learned: orm.WorkChainNode) -> None:
    for atoms in all_frames(learned.outputs.dataset):
        assert isinstance(orm.load_node(atoms.info["calculation"]), orm.CalcJobNode)
        assert isinstance(orm.load_node(atoms.info["source_uuid"]), orm.TrajectoryData)


def test_stages_and_report_of_a_run(learned: orm.WorkChainNode) -> None:
    shown = stages(learned)
    assert [stage.name for stage in shown] == ["start", *(f"round {n}" for n in range(1, len(shown) - 1)), "learned"]
    assert {stage.state for stage in shown} == {"done"}
    assert "21 labels" in shown[-2].detail and "new labels" in shown[-2].detail
    page = render(collect(learned))
    assert "Active learning: the rounds" in page and "the budget of labels is used up" in page
    assert "mlip-auto learn CONFIG.yaml" in page


def test_run_continues_from_the_state_of_an_earlier_run(reached: orm.WorkChainNode, learned: orm.WorkChainNode) -> None:
    before = reached.outputs.learning["rounds"]
    assert learned.outputs.learning["rounds"][: len(before)] == before
    assert sources(reached) <= sources(learned)
    # No structures are generated and no initial potential is made.
    assert "start" not in {link.link_label for link in learned.base.links.get_outgoing().all()}
    with pytest.raises(UserError, match="cannot be mixed"):
        build_learning(configured(oracle={"calculator": "lj"}), previous=reached)


def test_continued_run_keeps_the_cutoff_of_a_fit_with_an_initial_dataset(reached: orm.WorkChainNode) -> None:
    builder = build_learning(configured(training={"cutoff": "auto"}), previous=reached)
    first, *others = sorted(builder.previous["labelled"].items(), key=lambda item: item[1].numsteps)
    builder.previous["labelled"] = dict([first])
    builder.initial_dataset = dict(others)
    _, node = run_get_node(builder)
    assert node.is_finished_ok, node.exit_message
    trainer = next(called for called in node.called if called.process_label == "PaceTrainWorkChain")
    assert trainer.inputs.settings["cutoff"] == reached.outputs.metrics["cutoff_A"]


def test_run_stops_at_the_target_and_validates_its_last_potential(reached: orm.WorkChainNode) -> None:
    history = reached.outputs.learning.get_dict()
    assert history["ended"] == "target"
    assert len(history["rounds"]) == 2
    assert history["rounds"][1]["fresh_force_rmse_eV_per_A"] < 100.0
    (validation,) = [called for called in reached.called if called.process_label == "ValidationWorkChain"]
    assert validation.inputs.potential.uuid == reached.outputs.potential.uuid
    assert reached.outputs.validation.uuid == validation.outputs.validation.uuid
    assert "elastic_constant" in {check["name"] for check in reached.outputs.validation["checks"]}
    assert (stages(reached)[-1].name, stages(reached)[-1].state) == ("validation", "done")
    shown = collect(reached).validation
    assert shown is not None and shown.checks == reached.outputs.validation["checks"]


@pytest.mark.slow
def test_run_stops_when_exploration_saves_no_frames(aiida_profile: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "MIN_LIMIT", 3e8)
    few = {**dict.fromkeys(WALKERS, 0), "deformation": 1}
    node = learn(configured(exploration={"walkers": few, "select_grade": 1e9, "stop_grade": 1e9}))
    assert node.is_finished_ok, node.exit_message
    history = node.outputs.learning.get_dict()
    assert (history["ended"], labels_asked(node)) == ("explored", 15)
    assert history["last_exploration"]["candidates"] == 0
    # An uncalibrated limit is lowered twice before the run stops.
    assert (history["select_grade"], history["idle"]) == (3e8, 3)


def learn_from_known_candidates(reached: orm.WorkChainNode, learned: orm.WorkChainNode) -> orm.WorkChainNode:
    """Run `learned` again with an initial dataset that holds all structures that its first exploration saved."""
    builder = build_learning(configured(), previous=reached)
    labels, labelling = run_get_node(
        LabellingWorkChain,
        structures=called_by(learned)["explore_2"].outputs.candidates,
        type=orm.Str("ase"),
        oracle=builder.oracle,
    )
    assert labelling.is_finished_ok, labelling.exit_message
    builder.initial_dataset = labels["labelled"]
    _, node = run_get_node(builder)
    assert node.is_finished_ok, node.exit_message
    assert called_by(node)["select_2"].exit_status == SelectionWorkChain.exit_codes.ERROR_NOTHING_NEW.status
    return node


def test_run_ends_when_exploration_saves_only_known_structures(
    reached: orm.WorkChainNode, learned: orm.WorkChainNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "MIN_LIMIT", 1e9)
    node = learn_from_known_candidates(reached, learned)
    history = node.outputs.learning.get_dict()
    assert (history["ended"], labels_asked(node)) == ("explored", 18)
    assert history["last_exploration"]["candidates"] > 0
    assert "no new structure above the limit" in stages(node)[-1].detail
    # A run that continues from here uses other samplers.
    assert history["idle"] == 1


@pytest.mark.slow
def test_limit_is_lowered_when_exploration_saves_only_known_structures(
    reached: orm.WorkChainNode, learned: orm.WorkChainNode
) -> None:
    node = learn_from_known_candidates(reached, learned)
    history, called = node.outputs.learning.get_dict(), called_by(node)
    assert (history["ended"], labels_asked(node)) == ("budget", 21)
    first, second = (called[name].inputs.select_grade for name in ("explore_2", "explore_2_1"))
    assert second.value == max(rounds.MIN_LIMIT, first.value / 2)
    assert called["select_2_1"].is_finished_ok
    # Only the labels of the second exploration are new.
    assert history["rounds"][-1]["asked"] == 3


@pytest.mark.slow
def test_failed_labels_are_reported_and_the_others_used(learned: orm.WorkChainNode, tmp_path: Path) -> None:
    # Other MD runs than before, whose structures have no labels yet.
    strange = breaking(tmp_path, "len(atoms) % 2")
    node = learn(configured(exploration={"seed": 7}, resources=strange, learning={"labels_per_round": 6}))
    assert node.is_finished_ok, node.exit_message
    report = node.outputs.oracle_report.get_dict()
    assert report["asked"] == 21 == report["labelled"] + len(report["failed"])
    assert all("no convergence" in failure["reason"] for failure in report["failed"])
    assert all(len(atoms) % 2 == 0 for atoms in explored_of(node))


@pytest.mark.slow
def test_run_with_only_failed_labels_stops_and_keeps_its_last_potential(
    learned: orm.WorkChainNode, tmp_path: Path
) -> None:
    strange = breaking(tmp_path, "True")
    node = learn(configured(exploration={"seed": 11}, resources=strange, learning={"max_labels": 40}))
    assert node.exit_status == ActiveLearningWorkChain.exit_codes.ERROR_ORACLE_FAILED.status
    history = node.outputs.learning.get_dict()
    assert history["ended"] == "failed"
    assert [row["failed"] for row in history["rounds"]] == [0, 3, 3]
    assert isinstance(node.outputs.potential, orm.SinglefileData)
    state = learning_state(node)
    assert state is not None and state.history["asked"] == 21
    assert sum(trajectory.numsteps for trajectory in state.labelled.values()) == 15


def test_run_with_a_failed_exploration_keeps_its_last_potential(learned: orm.WorkChainNode, tmp_path: Path) -> None:
    builder = build_learning(configured(learning={"max_labels": 23}), previous=learned)
    builder.explorer = failing_code(tmp_path)
    _, node = run_get_node(builder)
    assert node.exit_status == ActiveLearningWorkChain.exit_codes.ERROR_EXPLORATION_FAILED.status
    assert "explore" in node.exit_message
    assert node.outputs.potential.uuid == learned.outputs.potential.uuid
    assert node.outputs.learning["ended"] == "failed"
    # A resumed run continues from this state.
    assert restart_builder(node).previous["history"].uuid == node.outputs.learning.uuid


def explored_of(node: orm.WorkChainNode) -> list[Atoms]:
    return [atoms for atoms in all_frames(node.outputs.dataset) if atoms.info["family"].startswith("explored_")]


def failing_code(folder: Path) -> orm.PortableCode:
    """Return a code for `explore_structures` that fails."""
    (folder / "explore_structures").write_text("#!/bin/sh\nexit 3\n")
    return orm.PortableCode("explore_structures", filepath_files=folder, label="explore_structures").store()
