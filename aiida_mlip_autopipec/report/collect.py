"""All that the database knows of a potential, as plain data."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from aiida import load_profile, orm
from aiida.common.links import LinkType
from ase import Atoms
from ase.io.trajectory import Trajectory
from pydantic import BaseModel, ValidationError

from ..config.schemas.pipeline import PipelineConfig, TrainingRunConfig
from ..dataset.process import curate_labels
from ..provenance import ProcessSummary, trace
from ..trainer.files import write_training_files
from ..trainer.workflow import PaceTrainWorkChain
from .model import Process, Stage, Subject, Validation
from .structures import measure_coverage, read_predictions, tabulate

VALIDATION = "validation"
"""Name of the output of a process that validates a potential."""

_NAMED = ("start", "explore", "select", "label", "evaluate", "train")
"""Stages that are called by the name of their link."""

_ROUND = re.compile(r"_\d+$")

_STAGE_NAMES = {"generate_structures": "generate", "curate_labels": "curate", "write_training_files": "write files"}


def collect(node: orm.Node) -> Subject:
    """Return all that is known of a potential.

    :param node: a potential, a run or fit that made one, or a validation of one.
    :raises ValueError: if there is no potential, or it was not made by a fit of this package.
    """
    potential = _potential_of(node)
    fit = potential.creator if isinstance(potential, orm.SinglefileData) else None
    if fit is None or "metrics" not in fit.outputs or "predictions_npz" not in fit.outputs:
        raise ValueError(_no_potential(node))
    trainer = fit.caller
    run = _outermost(trainer)
    metrics = fit.outputs.metrics.get_dict()
    frames = _frames_of(fit)
    coverage, shortest = measure_coverage(frames, metrics["cutoff_A"])
    predictions = read_predictions(fit.outputs.predictions_npz.get_content(mode="rb"))
    curation = _inputs_and_report_of_curation(fit)
    oracle = run.outputs.oracle_report.get_dict() if run is not None and "oracle_report" in run.outputs else {}
    asked, config, command = _settings(run, curation[0])
    return Subject(
        title=f"ACE potential for {'-'.join(metrics['elements'])}",
        identity=_identity(potential, run or fit),
        asked=asked,
        config=config,
        command=command,
        metrics=metrics,
        structures=tabulate(frames, predictions, metrics["reference_energies_eV"], shortest),
        coverage=coverage,
        oracle=oracle,
        curation=curation[1],
        validation=_validation(potential),
        stages=_stages(run, trainer, oracle, metrics),
        processes=[_process(process) for process in trace(potential).processes],
        versions=_versions(fit, oracle, metrics),
        learned=run.outputs.learning.get_dict() if run is not None and "learning" in run.outputs else {},
    )


def _potential_of(node: orm.Node) -> orm.Node:
    for links in (node.outputs, node.inputs) if isinstance(node, orm.ProcessNode) else ():
        if "potential" in links:
            return links.potential
    return node


def _no_potential(node: orm.Node) -> str:
    if isinstance(node, orm.ProcessNode):
        return f"{node.process_label} {node.pk} has no potential (mlip-auto status {node.pk})"
    return f"node {node.pk} is no potential made by a fit (mlip-auto list)"


def _outermost(process: orm.ProcessNode | None) -> orm.ProcessNode | None:
    """Return the process that no other called, behind one."""
    while process is not None and process.caller is not None:
        process = process.caller
    return process


def _identity(potential: orm.Node, process: orm.ProcessNode) -> dict[str, str]:
    return {
        "potential": f"{potential.uuid} (node {potential.pk})",
        "run": f"{process.uuid} (node {process.pk}, {process.label or process.process_label})",
        "made": f"{potential.ctime:%Y-%m-%d %H:%M %Z}",
        "AiiDA profile": str(load_profile().name),
    }


def _frames_of(fit: orm.ProcessNode) -> list[Atoms]:
    """Return the structures as the fit read them: their order is that of its predictions."""
    incoming = fit.base.links.get_incoming(node_class=orm.SinglefileData).all()
    file = next(link.node for link in incoming if link.link_label.removeprefix("nodes__") == "dataset")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dataset.traj"
        path.write_bytes(file.get_content(mode="rb"))
        with Trajectory(str(path)) as trajectory:
            return list(trajectory)


def _inputs_and_report_of_curation(fit: orm.ProcessNode) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return settings and report of the curation that made the dataset of a fit."""
    query = orm.QueryBuilder()
    query.append(orm.Node, filters={"uuid": fit.uuid}, tag="fit")
    query.append(orm.SinglefileData, with_outgoing="fit", tag="file")
    query.append(
        orm.CalcFunctionNode,
        with_outgoing="file",
        filters={"attributes.process_label": write_training_files.__name__},
        tag="write",
    )
    query.append(orm.TrajectoryData, with_outgoing="write", tag="dataset")
    query.append(
        orm.CalcFunctionNode,
        with_outgoing="dataset",
        filters={"attributes.process_label": curate_labels.__name__},
        tag="curate",
        project=["*"],
    )
    curation = query.first(flat=True)
    if curation is None or "report" not in curation.outputs:
        return {}, {}
    inputs = curation.inputs
    settings = {"curation": inputs.settings.get_dict()}
    return settings, curation.outputs.report.get_dict()


def _settings(run: orm.ProcessNode | None, curation: Mapping[str, Any]) -> tuple[dict[str, Any], str, str]:
    """Return what was asked beyond the defaults, all settings as YAML, and the command that runs with them."""
    if run is None:
        return {}, "", ""
    if run.process_label == PaceTrainWorkChain.__name__:
        settings = {**run.inputs.settings.get_dict(), **curation}
        asked = {"fit to": run.label.removeprefix("train "), **_beyond_defaults(TrainingRunConfig, settings)}
        export = f"mlip-auto export {run.uuid} data.extxyz"
        return asked, _yaml(settings), f"{export} && mlip-auto train data.extxyz --config CONFIG.yaml"
    settings = run.inputs.config.get_dict()
    oracle = settings["oracle"]
    asked = {"reference method": str(oracle.get("calculator", oracle["type"]))}
    command = "learn" if "learning" in run.outputs else "run"
    return asked | _beyond_defaults(PipelineConfig, settings), _yaml(settings), f"mlip-auto {command} CONFIG.yaml"


def _beyond_defaults(model: type[BaseModel], settings: dict[str, Any]) -> dict[str, Any]:
    try:
        return model.model_validate(settings).model_dump(mode="json", exclude_defaults=True)
    except ValidationError:
        # Of an older version: then all of them are shown.
        return settings


def _yaml(settings: dict[str, Any]) -> str:
    return str(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True))


def _validation(potential: orm.Node) -> Validation | None:
    """Return the newest validation of a potential."""
    query = orm.QueryBuilder()
    query.append(orm.Node, filters={"uuid": potential.uuid}, tag="potential")
    query.append(orm.ProcessNode, with_incoming="potential", tag="process", project=["uuid"])
    query.append(
        orm.Dict, with_incoming="process", edge_filters={"label": VALIDATION}, tag="result", project=["attributes"]
    )
    query.order_by({"process": {"id": "desc"}})
    found = query.first()
    if found is None:
        return None
    uuid, content = found
    return Validation(
        uuid=uuid,
        passed=bool(content["passed"]),
        checks=list(content["checks"]),
        curves=list(content["curves"]),
        settings=dict(content.get("settings", {})),
    )


def _stages(
    run: orm.ProcessNode | None, trainer: orm.ProcessNode | None, oracle: dict[str, Any], metrics: dict[str, Any]
) -> list[Stage]:
    if run is None:
        return [Stage("fit", "", metrics["wall_time_s"])]
    links = run.base.links.get_outgoing(link_type=(LinkType.CALL_CALC, LinkType.CALL_WORK)).all()
    details = {
        "select": _of_selection(run),
        "label": _of_labels(oracle),
        "train": f"the job's own time: {metrics['wall_time_s']:.0f} s",
    }
    stages = []
    for link in sorted(links, key=lambda link: (link.node.ctime, link.node.pk)):
        process = link.node
        # A round's number is no part of the name of what was done in it.
        own = _ROUND.sub("", link.link_label)
        name = own if own in _NAMED else process.process_label
        if run is trainer and isinstance(process, orm.CalcJobNode):
            name = "train"
        detail = details.get(name, "") if own == link.link_label else ""
        stages.append(Stage(_STAGE_NAMES.get(name, name), detail, _seconds(process)))
    return _summed(stages)


def _summed(stages: Sequence[Stage]) -> list[Stage]:
    """Return stages of the same name as one."""
    found: dict[str, Stage] = {}
    for stage in stages:
        before = found.get(stage.name)
        seconds = stage.seconds + (before.seconds if before else 0.0)
        found[stage.name] = Stage(stage.name, (before or stage).detail, seconds)
    return list(found.values())


def _of_selection(run: orm.ProcessNode) -> str:
    if "selection_report" not in run.outputs:
        return ""
    report = run.outputs.selection_report
    return f"{len(report['chosen'])} of {report['n_candidates']} structures, by {report['method'].replace('_', ' ')}"


def _of_labels(oracle: dict[str, Any]) -> str:
    if not oracle:
        return ""
    known = f"{oracle['reused']} of {oracle['asked']} labels known already; " if oracle.get("reused") else ""
    return f"{known}{oracle['jobs']} jobs, whose own time: {oracle['job_time_s']:.0f} s"


def _seconds(process: orm.ProcessNode) -> float:
    return float((process.mtime - process.ctime).total_seconds())


def _process(process: ProcessSummary) -> Process:
    where = ", ".join([*process.computers, *process.codes])
    return Process(process.label, process.count, where, process.started, process.seconds, process.uuids[0])


def _versions(fit: orm.ProcessNode, oracle: dict[str, Any], metrics: dict[str, Any]) -> dict[str, str]:
    """Return versions by what they are of: the engine, the fit's job, the oracle's jobs."""
    found: dict[str, str] = {}
    of_process = (fit.caller or fit).base.attributes.get("version", {})
    for key, name in (("core", "aiida-core"), ("plugin", "aiida-mlip-autopipec")):
        if key in of_process:
            found[name] = of_process[key]
    found |= {f"{name} (fit)": version for name, version in metrics.get("versions", {}).items()}
    found |= {f"{name} (oracle)": str(version) for name, version in oracle.get("versions", {}).items()}
    return found
