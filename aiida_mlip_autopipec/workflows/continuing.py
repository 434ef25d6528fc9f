"""What a run of active learning has reached, also one that was killed: where another goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aiida import orm

from ..learning.process import add_failed_round, add_round, begin_history, lower_limit, sum_reports
from ..trainer.workflow import OUTPUTS
from .progress import called_by

_RECORDERS = [function.__name__ for function in (begin_history, add_round, add_failed_round, lower_limit)]


@dataclass(frozen=True)
class Reached:
    """What a run of active learning has reached.

    :ivar history: its `learning`, without the reason for its end.
    :ivar labelled: all its labels, those of the runs it went on from among them, by names of their own.
    :ivar fit: outputs of its last fit.
    :ivar reports: what the oracle said of each round.
    """

    history: orm.Dict
    labelled: dict[str, orm.TrajectoryData]
    fit: dict[str, orm.Node]
    reports: dict[str, orm.Dict]

    def inputs(self) -> dict[str, Any]:
        """Return the inputs `previous` of a run that goes on from here."""
        report = sum_reports(**self.reports)
        return {"history": self.history, "labelled": self.labelled, "fit": self.fit, "oracle_report": report}


def reached_by(run: orm.WorkChainNode) -> Reached | None:
    """Return what a run has reached; None if it has no potential yet."""
    history = history_of(run)
    if history is None:
        return None
    labelled: dict[str, orm.TrajectoryData] = {}
    reports: dict[str, orm.Dict] = {}
    if "previous" in run.inputs:
        labelled |= {f"before_{label}": node for label, node in run.inputs.previous.labelled.items()}
        reports["before"] = run.inputs.previous.oracle_report
    for number, labelling in enumerate(_labellings(run)):
        outputs = labelling.outputs
        if "report" in outputs:
            reports[f"round{number}"] = outputs.report
        if "labelled" in outputs:
            labelled |= {f"round{number}_{label}": node for label, node in outputs.labelled.items()}
    # The end of a run tells how often exploration met nothing new.
    concluded = run.outputs.learning if "learning" in run.outputs else history
    return Reached(concluded, labelled, _fit_behind(history), reports)


def history_of(run: orm.WorkChainNode) -> orm.Dict | None:
    """Return the newest history of a run; None if it has no potential yet."""
    query = orm.QueryBuilder().append(orm.WorkChainNode, filters={"id": run.pk}, tag="run")
    query.append(
        orm.CalcFunctionNode,
        with_incoming="run",
        filters={"attributes.process_label": {"in": _RECORDERS}, "attributes.exit_status": 0},
        tag="record",
    )
    query.append(orm.Dict, with_incoming="record", tag="history", project=["*"])
    query.order_by({"history": {"id": "desc"}})
    newest = query.first(flat=True)
    if newest is None and "previous" in run.inputs:
        return run.inputs.previous.history
    return newest


def _labellings(run: orm.WorkChainNode) -> list[orm.WorkChainNode]:
    """Return the labellings of a run in their order, that of its start first."""
    called = called_by(run)
    found = []
    if "start" in called:
        found += [node for label, node in called_by(called["start"]).items() if label == "label"]
    rounds = [node for label, node in called.items() if label.startswith("label_")]
    return [*found, *sorted(rounds, key=lambda node: node.pk)]


def _fit_behind(history: orm.Dict) -> dict[str, orm.Node]:
    """Return the outputs of the fit that a history knows as its last."""
    inputs = history.creator.inputs
    if "metrics" not in inputs:
        return _fit_behind(inputs.history)
    trainer = inputs.metrics.creator.caller
    return {name: trainer.outputs[name] for name in (*OUTPUTS, "metrics")}
