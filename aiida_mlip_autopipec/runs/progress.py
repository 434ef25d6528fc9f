"""Progress of a run, read from the database."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import wraps
from itertools import islice
from typing import Any, TypeVar

from aiida import orm
from aiida.common.links import LinkType

from ..oracle.claims import PROGRESS
from ..provenance.calls import (
    TEACH,
    called_by,
    count_input_structures,
    counts_of_created_structures,
    has_input,
    output_of,
)
from ..provenance.queries import GENERATED_BY

ONE_SHOT, LEARNING, OWN_DATA = "OneShotWorkChain", "ActiveLearningWorkChain", "OwnDataWorkChain"
TRAINING, VALIDATION = "PaceTrainWorkChain", "ValidationWorkChain"
"""Processes that are runs unless another process called them. `mlip-auto train` of earlier versions submitted a `TRAINING`."""

START_SECONDS = 60.0
"""Time in which a daemon that is not busy starts a process."""

_PREPARING = (None, "uploading", "unstashing", "submitting")
"""States of a job before it is in the queue of the scheduler; after an upload, AiiDA's state is `unstashing`."""

_RUNS = (ONE_SHOT, LEARNING, OWN_DATA, TRAINING, VALIDATION)


Known = TypeVar("Known")


def _cached(look_up: Callable[[orm.ProcessNode], Known]) -> Callable[[orm.ProcessNode], Known]:
    """Cache a property of a process that does not change."""
    known: dict[str, Known] = {}

    @wraps(look_up)
    def remembered(process: orm.ProcessNode) -> Known:
        if process.uuid not in known:
            known[process.uuid] = look_up(process)
        return known[process.uuid]

    return remembered


def _of_terminated(
    stage_of: Callable[[orm.WorkChainNode | None], Stage],
) -> Callable[[orm.WorkChainNode | None], Stage]:
    """Cache the stage of a terminated process, which does not change."""
    final = _cached(stage_of)

    @wraps(stage_of)
    def stage(process: orm.WorkChainNode | None) -> Stage:
        if process is not None and process.is_terminated:
            return final(process)
        return stage_of(process)

    return stage


@dataclass(frozen=True)
class Stage:
    """One stage of a run: its state `waiting`, `running`, `paused`, `done` or `failed`, and a line on its results."""

    name: str
    state: str
    detail: str = ""
    seconds_left: float | None = field(default=None, compare=False)
    """Estimated time until it is done, if known."""
    log: str = field(default="", compare=False)
    """The jobs whose logs give more details: `labels` or `fit`."""
    fraction: float | None = field(default=None, compare=False)
    """Completed fraction (0 to 1), if known."""
    step: str = field(default="", compare=False)
    """Current step of a running job, from its log."""
    loss: str = field(default="", compare=False)
    """Current loss of a running fit, from its log."""


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
    """Return the state of a run: `paused` also if one of its processes is paused, `killed` if the user killed it.

    :param paused: the result of :func:`paused_of` if it is available already.
    """
    if run.is_killed:
        return "killed"
    state = state_of(run)
    if state != "running":
        return state
    return "paused" if (paused_of(run) if paused is None else paused) else state


def plain_stages(run: orm.WorkChainNode) -> list[Stage]:
    """Return the stages in order of a run without rounds: of any run but active learning."""
    if run.process_label == TRAINING:
        return [_training_dataset(run), fit_stage(run)]
    called = called_by(run)
    if run.process_label == OWN_DATA:
        return _first_unfinished(run, [_dataset(run), fit_stage(called.get("train"))])
    if run.process_label == VALIDATION:
        return _first_unfinished(run, [labels_stage(called.get("label")), validation_stage(run)])
    found = [
        *([_teacher_stage(called)] if TEACH in called else []),
        _structures(run),
        *([selection_stage(called.get("select"))] if has_input(run, "selector") else []),
        labels_stage(called.get("label")),
        _dataset(run),
        fit_stage(called.get("train")),
    ]
    if has_input(run, "validator"):
        found.append(validation_stage(called.get("validate")))
    return _first_unfinished(run, found)


def _first_unfinished(run: orm.WorkChainNode, found: list[Stage]) -> list[Stage]:
    """Set the first stage that has not started to the state of the run, which works on it or failed in it."""
    state = state_of(run)
    for index, stage in enumerate(found):
        if stage.state == "waiting":
            if state != "done" and all(before.state == "done" for before in found[:index]):
                found[index] = Stage(stage.name, state)
            break
    return found


def _teacher_stage(called: Mapping[str, orm.WorkChainNode]) -> Stage:
    """Return the stage of a teacher, with its current step."""
    teacher, exploration = called[TEACH], called.get("explore")
    if exploration is None:
        inner = plain_stages(teacher)
        current = next((stage for stage in reversed(inner) if stage.state != "waiting"), inner[0])
        state = "failed" if state_of(teacher) == "failed" else "running"
        detail = f"{current.name}: {current.detail}".removesuffix(": ")
        return replace(current, name="teacher", state=state, detail=detail)
    labelled = teacher.outputs.oracle_report["labelled"]
    if not exploration.is_finished_ok:
        return Stage("teacher", state_of(exploration), f"{labelled} labelled by the teacher, exploring")
    explored = exploration.outputs.report["candidates"]
    return Stage("teacher", "done", f"{labelled} labelled by the teacher, {explored} saved by exploration")


def _structures(run: orm.WorkChainNode) -> Stage:
    calls = run.base.links.get_outgoing(node_class=orm.CalcFunctionNode, link_type=LinkType.CALL_CALC).all_nodes()
    generators = [node for node in calls if node.process_label == GENERATED_BY and node.is_terminated]
    if not generators:
        return Stage("structures", "waiting")
    # A killed worker may have left an unfinished one before.
    generator = generators[-1]
    if not generator.is_finished_ok:
        return Stage("structures", "failed")
    return Stage("structures", "done", _generated(generator))


@_cached
def _generated(generator: orm.ProcessNode) -> str:
    return f"{sum(counts_of_created_structures(generator))} generated"


@_of_terminated
def selection_stage(selection: orm.WorkChainNode | None) -> Stage:
    """Return the stage of a selection."""
    if selection is None:
        return Stage("selection", "waiting")
    candidates = _candidates(selection)
    total = f"{min(selection.inputs.count.value, candidates)} of {candidates}"
    if selection.is_finished_ok:
        selected = selection.outputs.report["chosen"]
        required = sum(entry["reason"] == "required" for entry in selected)
        of = f"{len(selected)} of {candidates}"
        always = f", {required} of them always included" if required else ""
        return Stage("selection", "done", f"{of} selected{always}")
    jobs = _called_jobs(selection)
    job_state = f", job {jobs[-1].pk} {_job_state(jobs[-1])}" if jobs and not selection.is_terminated else ""
    return Stage("selection", state_of(selection), f"{total} to select{job_state}")


@_cached
def _candidates(selection: orm.ProcessNode) -> int:
    return count_input_structures(selection, "candidates")


@_cached
def _to_label(labelling: orm.ProcessNode) -> int:
    return count_input_structures(labelling, "structures")


@_of_terminated
def labels_stage(labelling: orm.WorkChainNode | None) -> Stage:
    """Return the stage of a labelling."""
    if labelling is None:
        return Stage("labels", "waiting")
    total = _to_label(labelling)
    output = output_of(labelling, "report") if labelling.is_terminated else None
    if output is not None:
        report = output.get_dict()
        labelled, failed = report["labelled"], len(report["failed"])
        detail = f"{labelled} of {total} labelled" + (f", {failed} failed" if failed else "")
        return Stage("labels", state_of(labelling), detail + _reused(report["reused"]))
    progress = labelling.base.extras.get(PROGRESS, {"reused": 0, "waiting_for": []})
    reused = progress["reused"]
    oracles = [node for label, node in called_by(labelling).items() if label.startswith("oracle")]
    labelled, failed = _outcomes(oracles)
    detail = f"{reused + labelled} of {total} labelled" + (f", {failed} failed" if failed else "") + _reused(reused)
    if progress["waiting_for"]:
        detail += f"; waiting for run {', '.join(map(str, progress['waiting_for']))}, which computes the others"
    fraction = (reused + labelled + failed) / total if total else None
    if not oracles:
        return Stage("labels", state_of(labelling), detail, fraction=fraction)
    computed = sum(map(_to_label, oracles))
    left = _seconds_left(oracles[0], labelled + failed, computed - labelled - failed)
    states = [state for oracle in oracles for state in jobs_of(oracle)]
    return Stage("labels", state_of(labelling), f"{detail}; {_count(states)}", left, "labels", fraction)


def _outcomes(oracles: Sequence[orm.ProcessNode]) -> tuple[int, int]:
    """Return the numbers of structures that have a label, and of those whose label failed, by two queries.

    The terminated processes that an oracle called are jobs with a report, or a WorkChain for each structure.
    """
    pks = [oracle.pk for oracle in oracles]
    if not pks:
        return 0, 0
    is_terminated = {"attributes.process_state": {"in": ["finished", "excepted", "killed"]}}
    reports = orm.QueryBuilder().append(orm.WorkChainNode, filters={"id": {"in": pks}}, tag="oracle")
    reports.append(orm.CalcJobNode, with_incoming="oracle", filters=is_terminated, tag="job")
    reports.append(
        orm.Dict,
        with_incoming="job",
        edge_filters={"label": "report"},
        project=["attributes.labelled", "attributes.failed"],
    )
    single = orm.QueryBuilder().append(orm.WorkChainNode, filters={"id": {"in": pks}}, tag="oracle")
    single.append(orm.WorkChainNode, with_incoming="oracle", filters=is_terminated, project=["attributes.exit_status"])
    rows, statuses = reports.all(), single.all(flat=True)
    labelled = sum(count for count, _ in rows) + statuses.count(0)
    return labelled, sum(len(failed) for _, failed in rows) + len(statuses) - statuses.count(0)


def _seconds_left(process: orm.ProcessNode, done: int, remaining: int) -> float | None:
    """Return the estimated remaining time at the present rate."""
    if not done or not remaining:
        return None
    return (datetime.datetime.now(datetime.timezone.utc) - process.ctime).total_seconds() / done * remaining


def jobs_of(process: orm.WorkChainNode) -> list[str]:
    """Return the states of the jobs of a process and of the processes that it called."""
    project = [f"attributes.{name}" for name in ("process_state", "exit_status", "state", "scheduler_state")]
    direct = orm.QueryBuilder().append(orm.WorkChainNode, filters={"id": process.pk}, tag="process")
    nested = orm.QueryBuilder().append(orm.WorkChainNode, filters={"id": process.pk}, tag="caller")
    nested.append(orm.WorkChainNode, with_incoming="caller", tag="process")
    found: list[list[Any]] = []
    for query in (direct, nested):
        found += query.append(orm.CalcJobNode, with_incoming="process", project=project).all()
    return [_row_state(*row) for row in found]


def _row_state(process_state: str, exit_status: int | None, state: str | None, scheduler_state: str | None) -> str:
    if process_state in ("excepted", "killed") or exit_status:
        return "failed"
    if process_state == "finished":
        return "done"
    if state == "withscheduler":
        return "running" if scheduler_state == "running" else "waiting"
    return "being prepared" if state in _PREPARING else "retrieving files"


def _count(states: Iterable[str]) -> str:
    counts = Counter(states)
    order = ("being prepared", "waiting", "running", "retrieving files", "done", "failed")
    listed = ", ".join(f"{counts[state]} {state}" for state in order if counts[state])
    return f"jobs: {listed or 'none yet'}"


def _reused(reused: int) -> str:
    return f", {reused} reused" if reused else ""


def _dataset(run: orm.WorkChainNode) -> Stage:
    report = output_of(run, "curation_report")
    return Stage("dataset", "waiting") if report is None else Stage("dataset", "done", _split_counts(report.get_dict()))


@_cached
def _training_dataset(run: orm.ProcessNode) -> Stage:
    curation = next(iter(run.inputs.dataset.values())).creator
    if curation is not None and "report" in curation.outputs:
        return Stage("dataset", "done", _split_counts(curation.outputs.report.get_dict()))
    # Few runs need it, and the import of ASE is slow.
    from ..dataset.trajectory import splits_of

    splits = [split for node in run.inputs.dataset.values() for split in splits_of(node)]
    return Stage("dataset", "done", f"{splits.count('train')} training, {splits.count('test')} test")


def _split_counts(report: dict[str, Any]) -> str:
    detail = f"{report['n_train']} training, {report['n_test']} test"
    rejected = ", ".join(f"{count} {reason}" for reason, count in report["rejected"].items())
    return f"{detail}; rejected: {rejected}" if rejected else detail


@_of_terminated
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
    restarts = f", after {len(jobs) - 1} restarts" if len(jobs) > 1 else ""
    return Stage("fit", state_of(trainer), f"job {last.pk} {_job_state(last)}{restarts}", log="fit")


def _job_state(job: orm.CalcJobNode) -> str:
    if job.is_terminated:
        return "done"
    state, at_scheduler = job.get_state(), job.get_scheduler_state()
    place = f"on {job.computer.label} ({job.get_job_id()})"
    if (state.value if state is not None else None) in _PREPARING:
        return "being prepared"
    if state.value != "withscheduler":
        return "retrieving files"
    return f"runs {place}" if at_scheduler is not None and at_scheduler.value == "running" else f"waits {place}"


@_of_terminated
def validation_stage(validation: orm.WorkChainNode | None) -> Stage:
    """Return the stage of a validation."""
    verdict = None if validation is None else output_of(validation, "validation")
    if validation is None or (verdict is None and validation.caller is None):
        return Stage("validation", "waiting")
    if verdict is None:
        labels = labels_stage(called_by(validation).get("label"))
        return Stage("validation", state_of(validation), labels.detail, labels.seconds_left)
    # None if a quantity is not comparable.
    verdicts = [check["passed"] for check in verdict["checks"] if check["passed"] is not None]
    return Stage("validation", state_of(validation), f"{sum(verdicts)} of {len(verdicts)} checks passed")


def active_of(run: orm.ProcessNode, **filters: Any) -> list[orm.ProcessNode]:
    """Return the processes of a run that have not terminated, including itself, without calcfunctions.

    A calcfunction whose worker was killed stays `running` in the database for ever.

    :param filters: values of attributes that they must have.
    """
    conditions: dict[str, Any] = {f"attributes.{name}": value for name, value in filters.items()}
    conditions["node_type"] = {"!==": orm.CalcFunctionNode.class_node_type}
    conditions.setdefault("attributes.process_state", {"in": ["created", "waiting", "running"]})
    query = orm.QueryBuilder().append(orm.ProcessNode, filters=conditions, tag="process", project=["*"])
    query.order_by({"process": {"id": "asc"}})
    active = query.all(flat=True)
    callers = _callers_of([node.pk for node in active])

    def root(pk: int) -> int:
        return root(callers[pk]) if pk in callers else pk

    return [node for node in active if root(node.pk) == run.pk]


def _callers_of(pks: Sequence[int]) -> dict[int, int]:
    """Map processes and their ancestors to their callers, by PK, with one query for each level."""
    callers: dict[int, int] = {}
    while pks:
        query = orm.QueryBuilder().append(orm.WorkChainNode, tag="caller", project=["id"])
        query.append(orm.ProcessNode, filters={"id": {"in": list(pks)}}, with_incoming="caller", project=["id"])
        found = {called: caller for caller, called in query.iterall()}
        callers |= found
        pks = sorted(set(found.values()) - callers.keys())
    return callers


def paused_of(run: orm.ProcessNode) -> list[orm.ProcessNode]:
    """Return the paused processes of a run: paused by the user, or by AiiDA after repeated transport errors."""
    return active_of(run, paused=True)


def why_paused(node: orm.ProcessNode) -> str:
    """Return the status of a paused process and its last error, if any."""
    errors = [log for log in orm.Log.collection.get_logs_for(node) if log.levelname == "ERROR"]
    last = errors[-1].message.strip().splitlines()[-1] if errors else ""
    return "; ".join(text for text in (node.process_status, last) if text)


def not_started_of(run: orm.ProcessNode) -> list[orm.ProcessNode]:
    """Return the processes that the daemon has not started in :data:`START_SECONDS`: their tasks may be lost."""
    now = datetime.datetime.now(datetime.timezone.utc)
    created = active_of(run, process_state="created")
    return [node for node in created if (now - node.ctime).total_seconds() > START_SECONDS]


def failed_labels(run: orm.WorkChainNode) -> list[dict[str, Any]]:
    """Return the failed labels of a run, each with kind, reason, family and calculation."""
    report = output_of(run, "oracle_report")
    return [] if report is None else list(report["failed"])


def _called_jobs(workchain: orm.WorkChainNode) -> list[orm.CalcJobNode]:
    called = workchain.base.links.get_outgoing(link_type=LinkType.CALL_CALC).all_nodes()
    return [node for node in called if isinstance(node, orm.CalcJobNode)]
