"""How far a run is, read from the database: nothing is kept in memory, so any command can ask at any time."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from aiida import orm
from aiida.common.links import LinkType

from ..dataset.trajectory import count_frames
from ..provenance import GENERATED_BY

ONE_SHOT, LEARNING = "OneShotWorkChain", "ActiveLearningWorkChain"
TRAINING, VALIDATION = "PaceTrainWorkChain", "ValidationWorkChain"
"""The processes that are runs, if no other process called them."""

BEGINNING_SECONDS = 60.0
"""What a daemon that is not busy begins sooner."""

_RUNS = (ONE_SHOT, LEARNING, TRAINING, VALIDATION)


@dataclass(frozen=True)
class Stage:
    """One stage of a run: `waiting`, `running`, `done` or `failed`, with a line on what it did."""

    name: str
    state: str
    detail: str = ""
    seconds_left: float | None = field(default=None, compare=False)
    """About how long it will take yet, if that can be told."""
    log: str = field(default="", compare=False)
    """Whose jobs' logs tell more while it runs: `labels` or `fit`."""


def is_run(node: orm.Node) -> bool:
    """Tell whether a node is a run: of the whole pipeline, of a fit to the user's own data, or a validation."""
    return getattr(node, "process_label", None) in _RUNS and node.caller is None


def find_runs(limit: int) -> list[orm.WorkChainNode]:
    """Return the newest runs of the profile, newest first."""
    query = orm.QueryBuilder().append(
        orm.WorkChainNode, filters={"attributes.process_label": {"in": list(_RUNS)}}, tag="run", project=["*"]
    )
    query.order_by({"run": {"id": "desc"}})
    return list(islice((node for (node,) in query.iterall() if is_run(node)), limit))


def state_of(node: orm.ProcessNode) -> str:
    """Return `running`, `paused`, `done` or `failed`."""
    if node.is_finished_ok:
        return "done"
    if node.is_terminated:
        return "failed"
    return "paused" if node.paused else "running"


def run_state(run: orm.WorkChainNode, paused: Sequence[orm.ProcessNode] | None = None) -> str:
    """Return the state of a run: `paused` also if something that it waits for is, `killed` if its user ended it.

    :param paused: what :func:`paused_of` returned of it, if that was asked already.
    """
    if run.is_killed:
        return "killed"
    state = state_of(run)
    if state != "running":
        return state
    return "paused" if (paused_of(run) if paused is None else paused) else state


def stages(run: orm.WorkChainNode) -> list[Stage]:
    """Return the stages of a run in order."""
    if run.process_label == TRAINING:
        return [_given_dataset(run), fit_stage(run)]
    called = called_by(run)
    if run.process_label == VALIDATION:
        return _first_unfinished(run, [labels_stage(called.get("label")), verdict_stage(run)])
    outputs = run.outputs
    found = [
        _structures(run),
        *([selection_stage(called.get("select"))] if "selector" in run.inputs else []),
        labels_stage(called.get("label")),
        _dataset(run, "curation_report" in outputs),
        fit_stage(called.get("train")),
    ]
    if "validator" in run.inputs:
        found.append(verdict_stage(called.get("validate")))
    return _first_unfinished(run, found)


def _first_unfinished(run: orm.WorkChainNode, found: list[Stage]) -> list[Stage]:
    """Give the first stage that has not begun the state of the run: it is what the run is at, or failed at."""
    state = state_of(run)
    for index, stage in enumerate(found):
        if stage.state == "waiting":
            if state != "done" and all(before.state == "done" for before in found[:index]):
                found[index] = Stage(stage.name, state)
            break
    return found


def _structures(run: orm.WorkChainNode) -> Stage:
    calls = run.base.links.get_outgoing(node_class=orm.CalcFunctionNode, link_type=LinkType.CALL_CALC).all_nodes()
    generators = [node for node in calls if node.process_label == GENERATED_BY and node.is_terminated]
    if not generators:
        return Stage("structures", "waiting")
    # One that a killed worker left unfinished may stand before it.
    generator = generators[-1]
    if not generator.is_finished_ok:
        return Stage("structures", "failed")
    structures = generator.base.links.get_outgoing(link_type=LinkType.CREATE).all_nodes()
    count = sum(node.numsteps for node in structures)
    return Stage("structures", "done", f"{count} made, in {len(structures)} groups of one formula")


def selection_stage(selection: orm.WorkChainNode | None) -> Stage:
    """Return the stage of a selection."""
    if selection is None:
        return Stage("selection", "waiting")
    asked = f"{selection.inputs.count.value} of {count_frames(selection.inputs.candidates)}"
    if selection.is_finished_ok:
        chosen = selection.outputs.report["chosen"]
        required = sum(one["reason"] == "required" for one in chosen)
        of = f"{len(chosen)} of {count_frames(selection.inputs.candidates)}"
        return Stage("selection", "done", f"{of} chosen, {required} of them always")
    jobs = _called_jobs(selection)
    doing = f", job {jobs[-1].pk} {_place(jobs[-1])}" if jobs and not selection.is_terminated else ""
    return Stage("selection", state_of(selection), f"{asked} to choose{doing}")


def labels_stage(labelling: orm.WorkChainNode | None) -> Stage:
    """Return the stage of a labelling."""
    if labelling is None:
        return Stage("labels", "waiting")
    asked = count_frames(labelling.inputs.structures)
    if labelling.is_terminated and "report" in labelling.outputs:
        report = labelling.outputs.report.get_dict()
        labelled, failed = report["labelled"], len(report["failed"])
        detail = f"{labelled} of {asked} labelled" + (f", {failed} failed" if failed else "")
        return Stage("labels", state_of(labelling), detail + _known(report["reused"]))
    oracle = called_by(labelling).get("oracle")
    if oracle is None:
        return Stage("labels", state_of(labelling), f"0 of {asked} labelled")
    known = asked - count_frames(oracle.inputs.structures)
    labelled = failed = 0
    for child in oracle.called:
        if not child.is_terminated:
            continue
        if "report" in child.outputs and isinstance(child, orm.CalcJobNode):
            report = child.outputs.report.get_dict()
            labelled += report["labelled"]
            failed += len(report["failed"])
        elif isinstance(child, orm.WorkChainNode):
            labelled += child.is_finished_ok
            failed += not child.is_finished_ok
    detail = f"{known + labelled} of {asked} labelled" + (f", {failed} failed" if failed else "") + _known(known)
    left = _seconds_left(oracle, labelled + failed, asked - known - labelled - failed)
    return Stage("labels", state_of(labelling), f"{detail}; {_count(jobs_of(oracle))}", left, log="labels")


def _seconds_left(process: orm.ProcessNode, done: int, remaining: int) -> float | None:
    """Return how long the rest takes if it goes on as it did."""
    if not done:
        return None
    return (datetime.datetime.now(datetime.timezone.utc) - process.ctime).total_seconds() / done * remaining


def jobs_of(process: orm.WorkChainNode) -> list[str]:
    """Return how each job that a process, or one that it called, has made is doing."""
    wanted = ["process_state", "exit_status", "state", "scheduler_state"]
    project = [f"attributes.{name}" for name in wanted]
    direct = orm.QueryBuilder().append(orm.WorkChainNode, filters={"id": process.pk}, tag="process")
    nested = orm.QueryBuilder().append(orm.WorkChainNode, filters={"id": process.pk}, tag="caller")
    nested.append(orm.WorkChainNode, with_incoming="caller", tag="process")
    found: list[list[Any]] = []
    for query in (direct, nested):
        found += query.append(orm.CalcJobNode, with_incoming="process", project=project).all()
    return [_doing(*row) for row in found]


def _doing(process_state: str, exit_status: int | None, state: str | None, scheduler_state: str | None) -> str:
    if process_state in ("excepted", "killed") or exit_status:
        return "failed"
    if process_state == "finished":
        return "done"
    if state == "withscheduler":
        return "running" if scheduler_state == "running" else "waiting"
    return "in transfer"


def _count(states: Iterable[str]) -> str:
    counts = Counter(states)
    order = ("waiting", "running", "in transfer", "done", "failed")
    told = ", ".join(f"{counts[state]} {state}" for state in order if counts[state])
    return f"jobs: {told or 'none yet'}"


def _known(reused: int) -> str:
    return f", {reused} known already" if reused else ""


def called_by(run: orm.WorkChainNode) -> dict[str, orm.WorkChainNode]:
    """Return the WorkChains that one has called, by their labels."""
    links = run.base.links.get_outgoing(link_type=LinkType.CALL_WORK)
    return {link.link_label: link.node for link in links}


def _dataset(run: orm.WorkChainNode, curated: bool) -> Stage:
    if not curated:
        return Stage("dataset", "waiting")
    return Stage("dataset", "done", _divided(run.outputs.curation_report.get_dict()))


def _given_dataset(run: orm.WorkChainNode) -> Stage:
    curation = next(iter(run.inputs.dataset.values())).creator
    if curation is not None and "report" in curation.outputs:
        return Stage("dataset", "done", _divided(curation.outputs.report.get_dict()))
    trajectories = run.inputs.dataset.values()
    splits = [split for node in trajectories for split in node.get_array("splits").tolist()]
    return Stage("dataset", "done", f"{splits.count('train')} to train, {splits.count('test')} to test")


def _divided(report: dict[str, Any]) -> str:
    detail = f"{report['n_train']} to train, {report['n_test']} to test"
    left_out = ", ".join(f"{count} {reason}" for reason, count in report["rejected"].items())
    return f"{detail}; left out: {left_out}" if left_out else detail


def fit_stage(trainer: orm.WorkChainNode | None) -> Stage:
    """Return the stage of a fit."""
    if trainer is None:
        return Stage("fit", "waiting")
    if trainer.is_finished_ok:
        metrics = trainer.outputs.metrics.get_dict()
        return Stage("fit", "done", f"{metrics['n_functions']} functions, cutoff {metrics['cutoff_A']:g} Å")
    jobs = _called_jobs(trainer)
    if trainer.is_terminated or not jobs:
        return Stage("fit", state_of(trainer))
    last = jobs[-1]
    again = f", after {len(jobs) - 1} that were ended" if len(jobs) > 1 else ""
    return Stage("fit", state_of(trainer), f"job {last.pk} {_place(last)}{again}", log="fit")


def _place(job: orm.CalcJobNode) -> str:
    if job.is_terminated:
        return "done"
    state, at_scheduler = job.get_state(), job.get_scheduler_state()
    where = f"on {job.computer.label} ({job.get_job_id()})"
    if state is None or state.value in ("uploading", "submitting"):
        return "being prepared"
    if state.value != "withscheduler":
        return "handing in its files"
    return f"runs {where}" if at_scheduler is not None and at_scheduler.value == "running" else f"waits {where}"


def verdict_stage(validation: orm.WorkChainNode | None) -> Stage:
    """Return the stage of a validation."""
    if validation is None or ("validation" not in validation.outputs and validation.caller is None):
        return Stage("validation", "waiting")
    if "validation" not in validation.outputs:
        labels = labels_stage(called_by(validation).get("label"))
        return Stage("validation", state_of(validation), labels.detail, labels.seconds_left)
    checks = validation.outputs.validation["checks"]
    passed = sum(check["passed"] for check in checks)
    return Stage("validation", state_of(validation), f"{passed} of {len(checks)} checks passed")


def active_of(run: orm.ProcessNode, **filters: Any) -> list[orm.ProcessNode]:
    """Return the processes of a run that have not ended, itself among them.

    Calcfunctions are none: they end with the worker that runs them, and one that was killed does not say so.

    :param filters: attributes they must have.
    """
    wanted: dict[str, Any] = {f"attributes.{name}": value for name, value in filters.items()}
    wanted["node_type"] = {"!==": orm.CalcFunctionNode.class_node_type}
    wanted["attributes.process_state"] = {"in": ["created", "waiting", "running"]}
    query = orm.QueryBuilder().append(orm.ProcessNode, filters=wanted, tag="process", project=["*"])
    query.order_by({"process": {"id": "asc"}})
    active = query.all(flat=True)
    callers = _callers_of([node.pk for node in active])

    def root(pk: int) -> int:
        return root(callers[pk]) if pk in callers else pk

    return [node for node in active if root(node.pk) == run.pk]


def _callers_of(pks: Sequence[int]) -> dict[int, int]:
    """Return the process that called each of some, and that called those, by PK: a query a level, however many they are."""
    callers: dict[int, int] = {}
    while pks:
        query = orm.QueryBuilder().append(orm.WorkChainNode, tag="caller", project=["id"])
        query.append(orm.ProcessNode, filters={"id": {"in": list(pks)}}, with_incoming="caller", project=["id"])
        found = {called: caller for caller, called in query.iterall()}
        callers |= found
        pks = sorted(set(found.values()) - callers.keys())
    return callers


def paused_of(run: orm.ProcessNode) -> list[orm.ProcessNode]:
    """Return the processes of a run that are paused, by its user or after failing again and again to reach a computer."""
    return active_of(run, paused=True)


def why_paused(node: orm.ProcessNode) -> str:
    """Return what a paused process waits for, and the last error it met, as far as it says."""
    errors = [log for log in orm.Log.collection.get_logs_for(node) if log.levelname == "ERROR"]
    last = errors[-1].message.strip().splitlines()[-1] if errors else ""
    return "; ".join(text for text in (node.process_status, last) if text)


def not_begun_of(run: orm.ProcessNode) -> list[orm.ProcessNode]:
    """Return the processes of a run that the daemon has not begun, though it had the time: their task may be lost."""
    now = datetime.datetime.now(datetime.timezone.utc)
    created = active_of(run, process_state="created")
    return [node for node in created if (now - node.ctime).total_seconds() > BEGINNING_SECONDS]


def failures(run: orm.WorkChainNode) -> list[dict[str, Any]]:
    """Return the structures of a run that have no label, each with kind, reason, family and calculation."""
    return list(run.outputs.oracle_report["failed"]) if "oracle_report" in run.outputs else []


def _called_jobs(workchain: orm.WorkChainNode) -> list[orm.CalcJobNode]:
    called = workchain.base.links.get_outgoing(link_type=LinkType.CALL_CALC).all_nodes()
    return [node for node in called if isinstance(node, orm.CalcJobNode)]
