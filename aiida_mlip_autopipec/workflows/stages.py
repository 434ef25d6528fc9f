"""The stages of any run; of active learning a stage for each round."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from aiida import orm

from ..learning.history import ENDS
from .continuing import history_of
from .progress import LEARNING, Stage, called_by, fit_stage, labels_stage, selection_stage, state_of, verdict_stage
from .progress import stages as plain_stages


def stages(run: orm.WorkChainNode) -> list[Stage]:
    """Return the stages of a run in order."""
    return _learning(run) if run.process_label == LEARNING else plain_stages(run)


def _learning(run: orm.WorkChainNode) -> list[Stage]:
    called = called_by(run)
    history = history_of(run)
    rows = [] if history is None else history["rounds"]
    found = [_recorded(row) for row in rows]
    if not rows:
        found = [_start(called.get("start"))]
    elif f"explore_{len(rows)}" in called and "learning" not in run.outputs:
        found.append(_at_work(len(rows), called, state_of(run)))
    if "learning" in run.outputs:
        ended = run.outputs.learning["ended"]
        found.append(Stage("learned", "failed" if ended == "failed" else "done", ENDS[ended]))
    if run.inputs.validate.value:
        found.append(verdict_stage(called.get("validate")))
    return found


def _start(start: orm.WorkChainNode | None) -> Stage:
    """Return the start as one stage: that of it which is at work."""
    if start is None:
        return Stage("start", "waiting")
    inner = plain_stages(start)
    current = next((stage for stage in reversed(inner) if stage.state != "waiting"), inner[0])
    return _inside("start", state_of(start), current)


def _at_work(number: int, called: dict[str, Any], state: str) -> Stage:
    """Return the round that is not on record yet."""
    name = f"round {number}"
    for step, stage_of in (("train", fit_stage), ("label", labels_stage), ("select", selection_stage)):
        if f"{step}_{number}" in called:
            return _inside(name, state, stage_of(called[f"{step}_{number}"]))
    return Stage(name, state, "exploring")


def _inside(name: str, state: str, step: Stage) -> Stage:
    """Return a stage whose detail is the step of it that is at work."""
    return replace(step, name=name, state=state, detail=f"{step.name}: {step.detail}".removesuffix(": "))


def _recorded(row: dict[str, Any]) -> Stage:
    """Return a round by what is on record of it."""
    name = f"round {row['round']}" if row["round"] else "start"
    told = [f"{row['total']} labels"]
    explored = row.get("explored")
    if explored and explored.get("largest_grade") is not None:
        told.append(f"largest grade {explored['largest_grade']:.3g}, limit {row['select_grade']:.3g}")
    if row["failed"]:
        told.append(f"{row['failed']} failed")
    if row.get("fresh_force_rmse_eV_per_A") is not None:
        told.append(f"error on fresh labels {row['fresh_force_rmse_eV_per_A']:.3f} eV/Å")
    if row.get("test_force_rmse_eV_per_A") is not None:
        told.append(f"on test {row['test_force_rmse_eV_per_A']:.3f} eV/Å")
    return Stage(name, "done", ", ".join(told))
