"""Stages of any run; active learning has one stage for each round."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from aiida import orm

from ..learning.stop_reasons import STOP_REASONS
from ..pipelines.learning_history import history_of
from ..provenance.calls import called_by
from .progress import (
    LEARNING,
    Stage,
    fit_stage,
    labels_stage,
    plain_stages,
    selection_stage,
    state_of,
    validation_stage,
)


def stages(run: orm.WorkChainNode) -> list[Stage]:
    """Return the stages of any run in order."""
    return _learning(run) if run.process_label == LEARNING else plain_stages(run)


def _learning(run: orm.WorkChainNode) -> list[Stage]:
    called = called_by(run)
    history = history_of(run)
    rows = [] if history is None else history["rounds"]
    found = [_finished_round(row) for row in rows]
    if not rows:
        found = [_initial_potential(called.get("start"))]
    elif "learning" not in run.outputs and (steps := _steps_of_round(len(rows), called)):
        found.append(_current_round(len(rows), *steps[-1], state_of(run)))
    if "learning" in run.outputs:
        ended = run.outputs.learning["ended"]
        found.append(Stage("learned", "failed" if ended == "failed" else "done", STOP_REASONS[ended]))
    if run.inputs.validate.value:
        found.append(validation_stage(called.get("validate")))
    return found


def _initial_potential(start: orm.WorkChainNode | None) -> Stage:
    """Return the initial potential as one stage, with its current step."""
    if start is None:
        return Stage("start", "waiting")
    inner = plain_stages(start)
    current = next((stage for stage in reversed(inner) if stage.state != "waiting"), inner[0])
    return _with_step("start", state_of(start), current)


def _steps_of_round(number: int, called: dict[str, orm.WorkChainNode]) -> list[tuple[str, orm.WorkChainNode]]:
    """Return the steps of a round as name and process, in order; labels of repeated ones end with another number."""
    parts = [(label.split("_"), node) for label, node in called.items()]
    steps = [(name, node) for (name, *numbers), node in parts if numbers[:1] == [str(number)]]
    return sorted(steps, key=lambda step: int(step[1].pk))


def _current_round(number: int, step: str, process: orm.WorkChainNode, state: str) -> Stage:
    """Return the stage of the current round, of which a step is being executed."""
    stage_of = {"train": fit_stage, "label": labels_stage, "select": selection_stage}
    name = f"round {number}"
    return _with_step(name, state, stage_of[step](process)) if step in stage_of else Stage(name, state, "exploring")


def _with_step(name: str, state: str, step: Stage) -> Stage:
    """Return a stage whose detail is its current step."""
    return replace(step, name=name, state=state, detail=f"{step.name}: {step.detail}".removesuffix(": "))


def _finished_round(row: dict[str, Any]) -> Stage:
    """Return the stage of a finished round from its entry in the history."""
    name = f"round {row['round']}" if row["round"] else "start"
    parts = [f"{row['total']} labels"]
    explored = row.get("explored")
    if explored and explored.get("largest_grade") is not None:
        parts.append(f"largest grade {explored['largest_grade']:.3g}, limit {row['select_grade']:.3g}")
    if row["failed"]:
        parts.append(f"{row['failed']} failed")
    if row.get("fresh_force_rmse_eV_per_A") is not None:
        parts.append(f"force error on new labels {row['fresh_force_rmse_eV_per_A']:.3f} eV/Å")
    if row.get("test_force_rmse_eV_per_A") is not None:
        parts.append(f"on test set {row['test_force_rmse_eV_per_A']:.3f} eV/Å")
    return Stage(name, "done", ", ".join(parts))
