"""Collects the data of a report from the database."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from aiida import load_profile, orm
from aiida.common.links import LinkType
from ase import Atoms
from pydantic import BaseModel, ValidationError

from ..config.schemas.pipeline import PipelineConfig, TrainingRunConfig
from ..dataset.calcfunctions import curate_labels
from ..dataset.frame_files import POOL, read_frames
from ..programs.files import read_arrays
from ..provenance.calls import TEACH, called_by
from ..provenance.queries import ProcessSummary, trace
from ..training.calcfunctions import write_training_files
from .advice import OWN_DATA
from .model import Process, StageTime, Subject, Validation
from .properties import Literature, Properties, properties_section
from .structures import measure_coverage, tabulate

VALIDATION = "validation"
"""Name of the output with the report of a validation."""

_LINK_NAMES = ("start", TEACH, "explore", "select", "label", "evaluate", "train")
"""Stages that are named after their call link."""

_ROUND = re.compile(r"(_\d+)+$")

_STAGE_NAMES = {
    "generate_structures": "generate",
    "curate_labels": "curate",
    "write_training_files": "write files",
    TEACH: "teacher",
}


def collect(node: orm.Node, literature: Literature | None = None) -> Subject:
    """Return the data of the report on a potential.

    :param node: a potential, a run, a fit, or a validation.
    :param literature: values to compare properties with.
    :raises ValueError: if there is no potential, or it is not from a fit of this package.
    """
    potential = _find_potential(node)
    fit = potential.creator if isinstance(potential, orm.SinglefileData) else None
    if fit is None or "metrics" not in fit.outputs or "predictions_npz" not in fit.outputs:
        raise ValueError(_missing_potential(node))
    trainer = fit.caller
    run = _topmost_caller(trainer)
    metrics = fit.outputs.metrics.get_dict()
    frames = _dataset_frames(fit)
    coverage, shortest = measure_coverage(frames, metrics["cutoff_A"])
    predictions = read_arrays(fit.outputs.predictions_npz)
    curation = _find_curation(fit)
    oracle = run.outputs.oracle_report.get_dict() if run is not None and "oracle_report" in run.outputs else {}
    changed_settings, config, command = _settings(run, curation[0])
    validation = _validation(potential)
    return Subject(
        title=f"ACE potential for {'-'.join(metrics['elements'])}",
        identity={**_identity(potential, run or fit), **_given(frames)},
        changed_settings=changed_settings,
        config=config,
        command=command,
        metrics=metrics,
        structures=tabulate(frames, predictions, metrics["reference_energies_eV"], shortest),
        coverage=coverage,
        oracle=oracle,
        curation=curation[1],
        validation=validation,
        stages=_stages(run, trainer, oracle, metrics),
        processes=[_process(process) for process in trace(potential).processes],
        versions=_versions(fit, oracle, metrics),
        learned=run.outputs.learning.get_dict() if run is not None and "learning" in run.outputs else {},
        teacher=_teacher(run),
        made_by=str(run.process_label) if run is not None else "",
        properties=_properties(potential, validation, literature or {}),
    )


def _find_potential(node: orm.Node) -> orm.Node:
    for links in (node.outputs, node.inputs) if isinstance(node, orm.ProcessNode) else ():
        if "potential" in links:
            return links.potential
    return node


def _missing_potential(node: orm.Node) -> str:
    if isinstance(node, orm.ProcessNode):
        return f"{node.process_label} {node.pk} has no potential (mlip-auto status {node.pk})"
    return f"node {node.pk} is not a potential made by a fit of this package: mlip-auto list shows those"


def _topmost_caller(process: orm.ProcessNode | None) -> orm.ProcessNode | None:
    """Return the topmost caller of a process."""
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


def _given(frames: Sequence[Atoms]) -> dict[str, str]:
    """Return where the user's structures come from, with the number of structures made from each."""
    counts = Counter(str(atoms.info["origin"]) for atoms in frames if "origin" in atoms.info)
    lines = [f"{origin} ({count} structures)" for origin, count in sorted(counts.items())]
    return {"started from": "; ".join(lines)} if lines else {}


def _dataset_frames(fit: orm.ProcessNode) -> list[Atoms]:
    """Return the structures of a fit, in the order of its predictions."""
    incoming = fit.base.links.get_incoming(node_class=orm.SinglefileData).all()
    file = next(link.node for link in incoming if link.link_label.removeprefix("nodes__") == "dataset")
    return read_frames(file)


def _find_curation(fit: orm.ProcessNode) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return settings and report of the curation of the dataset of a fit; empty without curation."""
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
    """Return the settings that differ from the defaults, all settings as YAML, and the command that uses them."""
    if run is None:
        return {}, "", ""
    if run.process_label in OWN_DATA:
        given = run.inputs.config if "config" in run.inputs else run.inputs.settings
        settings = {**given.get_dict(), **curation}
        changed = {"fit to": run.label.removeprefix("train "), **_changed_settings(TrainingRunConfig, settings)}
        export = f"mlip-auto export {run.uuid} data.extxyz"
        return changed, _yaml(settings), f"{export} && mlip-auto train data.extxyz --config TRAINING.yaml"
    settings = run.inputs.config.get_dict()
    oracle = settings["oracle"]
    changed = {"reference method": str(oracle.get("calculator", oracle["type"]))}
    command = "learn" if "learning" in run.outputs else "run"
    return changed | _changed_settings(PipelineConfig, settings), _yaml(settings), f"mlip-auto {command} CONFIG.yaml"


def _changed_settings(model: type[BaseModel], settings: dict[str, Any]) -> dict[str, Any]:
    try:
        return model.model_validate(settings).model_dump(mode="json", exclude_defaults=True)
    except ValidationError:
        # Settings of an older version: all of them are shown.
        return settings


def _yaml(settings: dict[str, Any]) -> str:
    return str(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True))


def _teacher(run: orm.ProcessNode | None) -> dict[str, Any]:
    """Return what the teacher of a run did; empty without a teacher.

    :returns: `name`, and the numbers of structures `labelled` by the teacher, `explored` with its potential, and of these
        `selected` for the oracle, None if a run that this one continues selected them.
    """
    if run is None or "teacher" not in run.outputs:
        return {}
    outputs = run.outputs.teacher
    config = PipelineConfig.model_validate(run.inputs.config.get_dict())
    start = called_by(run).get("start", run)
    selected = start.outputs.selection_report["chosen"] if "selection_report" in start.outputs else None
    return {
        "name": config.teacher.oracle.title if config.teacher is not None else "",
        "labelled": outputs.oracle_report["labelled"],
        "explored": outputs.exploration["candidates"],
        "selected": None if selected is None else sum(entry["label"] != POOL for entry in selected),
    }


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


def _properties(potential: orm.Node, validation: Validation | None, literature: Literature) -> Properties | None:
    """Return the results of all computations of properties of a potential, for each property and structure the newest."""
    query = orm.QueryBuilder()
    query.append(orm.Node, filters={"uuid": potential.uuid}, tag="potential")
    query.append(
        orm.CalcFunctionNode,
        with_incoming="potential",
        filters={"attributes.process_label": "measure_properties"},
        tag="process",
    )
    query.append(orm.Dict, with_incoming="process", project=["uuid", "attributes.results"], tag="results")
    query.order_by({"process": {"id": "asc"}})
    found = query.all()
    if not found:
        return None
    newest = {(result["property"], result["structure"]): result for _, results in found for result in results}
    checks = validation.checks if validation is not None else []
    return properties_section(found[-1][0], list(newest.values()), checks, literature)


def _stages(
    run: orm.ProcessNode | None, trainer: orm.ProcessNode | None, oracle: dict[str, Any], metrics: dict[str, Any]
) -> list[StageTime]:
    if run is None:
        return [StageTime("fit", "", metrics["wall_time_s"])]
    links = run.base.links.get_outgoing(link_type=(LinkType.CALL_CALC, LinkType.CALL_WORK)).all()
    details = {
        "select": _selection_detail(run),
        "label": _labelling_detail(oracle),
        "train": _fit_detail(metrics),
    }
    stages = []
    for link in sorted(links, key=lambda link: (link.node.ctime, link.node.pk)):
        process = link.node
        # The stages of different rounds are summed under one name.
        own = _ROUND.sub("", link.link_label)
        name = own if own in _LINK_NAMES else process.process_label
        if run is trainer and isinstance(process, orm.CalcJobNode):
            name = "train"
        detail = details.get(name, "") if own == link.link_label else ""
        stages.append(StageTime(_STAGE_NAMES.get(name, name), detail, _seconds(process)))
    return _sum_by_name(stages)


def _sum_by_name(stages: Sequence[StageTime]) -> list[StageTime]:
    """Sum the times of stages with the same name."""
    found: dict[str, StageTime] = {}
    for stage in stages:
        before = found.get(stage.name)
        seconds = stage.seconds + (before.seconds if before else 0.0)
        found[stage.name] = StageTime(stage.name, (before or stage).detail, seconds)
    return list(found.values())


def _selection_detail(run: orm.ProcessNode) -> str:
    if "selection_report" not in run.outputs:
        return ""
    report = run.outputs.selection_report
    method = {"d_optimal": "D-optimal design", "farthest_point": "farthest-point sampling"}.get(
        report["method"], report["method"].replace("_", " ")
    )
    at_random = sum(record.get("reason") == "random" for record in report["chosen"])
    return (
        f"{len(report['chosen'])} of {report['n_candidates']} structures, by {method}"
        f"{f', of which {at_random} at random' if at_random else ''}"
    )


def _fit_detail(metrics: dict[str, Any]) -> str:
    """Return the times of the fit; fits of older versions have no processor time."""
    wall = f"wall time of the program {metrics['wall_time_s']:.0f} s"
    return f"processor time {metrics['cpu_time_s']:.0f} s, {wall}" if "cpu_time_s" in metrics else wall


def _labelling_detail(oracle: dict[str, Any]) -> str:
    if not oracle:
        return ""
    known = f"{oracle['reused']} of {oracle['asked']} labels reused; " if oracle.get("reused") else ""
    jobs = f"{oracle['jobs']} job{'s' if oracle['jobs'] != 1 else ''}"
    return f"{known}{jobs}, wall time of the program {oracle['job_time_s']:.0f} s{' in total' if oracle['jobs'] != 1 else ''}"


def _seconds(process: orm.ProcessNode) -> float:
    return float((process.mtime - process.ctime).total_seconds())


def _process(process: ProcessSummary) -> Process:
    where = ", ".join([*process.computers, *process.codes])
    return Process(process.label, process.count, where, process.started, process.seconds, process.uuids[0])


def _versions(fit: orm.ProcessNode, oracle: dict[str, Any], metrics: dict[str, Any]) -> dict[str, str]:
    """Return the versions of AiiDA, this package, and the programs of the fit and of the oracle."""
    found: dict[str, str] = {}
    of_process = (fit.caller or fit).base.attributes.get("version", {})
    for key, name in (("core", "aiida-core"), ("plugin", "aiida-mlip-autopipec")):
        if key in of_process:
            found[name] = of_process[key]
    found |= {f"{name} (fit)": version for name, version in metrics.get("versions", {}).items()}
    found |= {f"{name} (oracle)": str(version) for name, version in oracle.get("versions", {}).items()}
    return found
