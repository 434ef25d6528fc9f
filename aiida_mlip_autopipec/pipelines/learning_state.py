"""State of an active learning run, from which another run continues, also after a kill."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aiida import orm

from ..learning.calcfunctions import sum_reports
from ..provenance.calls import called_by
from ..training.workchain import OUTPUTS
from .learning_history import history_of


@dataclass(frozen=True)
class LearningState:
    """State of an active learning run.

    :ivar history: its `learning`, without the stop reason if it was killed.
    :ivar labelled: all its labels, including those of the runs that it continues, by unique names.
    :ivar fit: outputs of its last fit.
    :ivar reports: reports of the oracle by round.
    :ivar teacher: the outputs `teacher`; empty without a teacher.
    """

    history: orm.Dict
    labelled: dict[str, orm.TrajectoryData]
    fit: dict[str, orm.Node]
    reports: dict[str, orm.Dict]
    teacher: dict[str, orm.Data]

    def inputs(self) -> dict[str, Any]:
        """Return the inputs `previous` of a run that continues from this state."""
        report = sum_reports(**self.reports)
        teacher = {"teacher": self.teacher} if self.teacher else {}
        return {"history": self.history, "labelled": self.labelled, "fit": self.fit, "oracle_report": report, **teacher}


def learning_state(run: orm.WorkChainNode) -> LearningState | None:
    """Return the state of a run; None if it has no potential yet."""
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
    # The output of a finished run also counts the rounds without new structures.
    history_at_end = run.outputs.learning if "learning" in run.outputs else history
    return LearningState(history_at_end, labelled, _last_fit(history), reports, _teacher(run))


def _teacher(run: orm.WorkChainNode) -> dict[str, orm.Data]:
    """Return the outputs `teacher` of the start of a run, or of the run that it continues."""
    if "previous" in run.inputs:
        return dict(run.inputs.previous.get("teacher", {}))
    outputs = called_by(run)["start"].outputs
    return dict(outputs.teacher) if "teacher" in outputs else {}


def _labellings(run: orm.WorkChainNode) -> list[orm.WorkChainNode]:
    """Return the labellings of a run in order, first that of the initial potential."""
    called = called_by(run)
    labellings = []
    if "start" in called:
        labellings += [node for label, node in called_by(called["start"]).items() if label == "label"]
    rounds = [node for label, node in called.items() if label.startswith("label_")]
    return [*labellings, *sorted(rounds, key=lambda node: node.pk)]


def _last_fit(history: orm.Dict) -> dict[str, orm.Node]:
    """Return the outputs of the last fit in a history."""
    inputs = history.creator.inputs
    if "metrics" not in inputs:
        return _last_fit(inputs.history)
    trainer = inputs.metrics.creator.caller
    return {name: trainer.outputs[name] for name in (*OUTPUTS, "metrics")}
