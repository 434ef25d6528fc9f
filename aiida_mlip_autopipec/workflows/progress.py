"""How far a run is, read from the database: nothing is kept in memory, so any command can ask at any time."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Any

from aiida import orm
from aiida.common.links import LinkType

from ..dataset.trajectory import count_frames
from ..provenance import GENERATED_BY

ONE_SHOT, TRAINING, VALIDATION = "OneShotWorkChain", "PaceTrainWorkChain", "ValidationWorkChain"
"""The processes that are runs, if no other process called them."""

_RUNS = (ONE_SHOT, TRAINING, VALIDATION)


@dataclass(frozen=True)
class Stage:
    """One stage of a run: `waiting`, `running`, `done` or `failed`, with a line on what it did."""

    name: str
    state: str
    detail: str = ""


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


def stages(run: orm.WorkChainNode) -> list[Stage]:
    """Return the stages of a run in order."""
    if run.process_label == TRAINING:
        return [_given_dataset(run), _fit(run)]
    called = {link.link_label: link.node for link in _links_to_called(run)}
    if run.process_label == VALIDATION:
        return _first_unfinished(run, [_labels(called.get("label")), _verdict(run)])
    outputs = run.outputs
    found = [
        _structures(run),
        _labels(called.get("label")),
        _dataset(run, "curation_report" in outputs),
        _fit(called.get("train")),
    ]
    if "validator" in run.inputs:
        found.append(_verdict(called.get("validate")))
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
    generator = next((node for node in calls if node.process_label == GENERATED_BY), None)
    if generator is None or not generator.is_terminated:
        return Stage("structures", "waiting")
    if not generator.is_finished_ok:
        return Stage("structures", "failed")
    structures = generator.base.links.get_outgoing(link_type=LinkType.CREATE).all_nodes()
    count = sum(node.numsteps for node in structures)
    return Stage("structures", "done", f"{count} made, in {len(structures)} groups of one formula")


def _labels(labelling: orm.WorkChainNode | None) -> Stage:
    if labelling is None:
        return Stage("labels", "waiting")
    asked = count_frames(labelling.inputs.structures)
    if labelling.is_terminated and "report" in labelling.outputs:
        report = labelling.outputs.report.get_dict()
        labelled, failed = report["labelled"], len(report["failed"])
        detail = f"{labelled} of {asked} labelled" + (f", {failed} failed" if failed else "")
        return Stage("labels", state_of(labelling), detail + _known(report["reused"]))
    oracle = next((link.node for link in _links_to_called(labelling) if link.link_label == "oracle"), None)
    if oracle is None:
        return Stage("labels", state_of(labelling), f"0 of {asked} labelled")
    known = asked - count_frames(oracle.inputs.structures)
    jobs = [node for node in oracle.called if isinstance(node, (orm.CalcJobNode, orm.WorkChainNode))]
    ended = [job for job in jobs if job.is_terminated]
    labelled = failed = 0
    for job in ended:
        if "report" in job.outputs:
            report = job.outputs.report.get_dict()
            labelled += report["labelled"]
            failed += len(report["failed"])
        elif isinstance(job, orm.WorkChainNode):
            labelled += job.is_finished_ok
            failed += not job.is_finished_ok
    detail = f"{known + labelled} of {asked} labelled" + (f", {failed} failed" if failed else "") + _known(known)
    return Stage("labels", state_of(labelling), f"{detail}; jobs: {len(ended)} done, {len(jobs) - len(ended)} in work")


def _known(reused: int) -> str:
    return f", {reused} known already" if reused else ""


def _links_to_called(node: orm.WorkChainNode) -> list[Any]:
    return list(node.base.links.get_outgoing(link_type=LinkType.CALL_WORK))


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


def _fit(trainer: orm.WorkChainNode | None) -> Stage:
    if trainer is None:
        return Stage("fit", "waiting")
    if trainer.is_finished_ok:
        metrics = trainer.outputs.metrics.get_dict()
        return Stage("fit", "done", f"{metrics['n_functions']} functions, cutoff {metrics['cutoff_A']:g} Å")
    jobs = _called_jobs(trainer)
    if trainer.is_terminated or not jobs:
        return Stage("fit", state_of(trainer))
    last = jobs[-1]
    state = last.get_state()
    place = "done" if last.is_terminated else _PLACES.get(state.value if state else "", "being prepared")
    again = f", after {len(jobs) - 1} that were ended" if len(jobs) > 1 else ""
    return Stage("fit", state_of(trainer), f"job {last.pk} {place}{again}")


def _verdict(validation: orm.WorkChainNode | None) -> Stage:
    if validation is None or ("validation" not in validation.outputs and validation.caller is None):
        return Stage("validation", "waiting")
    if "validation" not in validation.outputs:
        called = {link.link_label: link.node for link in _links_to_called(validation)}
        return Stage("validation", state_of(validation), _labels(called.get("label")).detail)
    checks = validation.outputs.validation["checks"]
    passed = sum(check["passed"] for check in checks)
    return Stage("validation", state_of(validation), f"{passed} of {len(checks)} checks passed")


_PLACES = {
    "withscheduler": "given to the scheduler",
    "unstashing": "given to the scheduler",
    "stashing": "handing in its files",
    "retrieving": "handing in its files",
    "parsing": "handing in its files",
}
"""What the states of a job mean to its user."""


def failures(run: orm.WorkChainNode) -> list[dict[str, Any]]:
    """Return the structures of a run that have no label, each with kind, reason, family and calculation."""
    return list(run.outputs.oracle_report["failed"]) if "oracle_report" in run.outputs else []


def _called_jobs(workchain: orm.WorkChainNode) -> list[orm.CalcJobNode]:
    called = workchain.base.links.get_outgoing(link_type=LinkType.CALL_CALC).all_nodes()
    return [node for node in called if isinstance(node, orm.CalcJobNode)]
