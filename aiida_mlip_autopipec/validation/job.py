"""The jobs of `validate_potential`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.orm import AbstractCode, CalcJobNode, Dict, SinglefileData

from ..explained import FAILURE
from ..jobs import job_metadata, link_label

EQUILIBRIUM, LABELS, DYNAMICS = "equilibrium.json", "labels.npz", "dynamics.npz"

_PARSER = "aiida.parsers:mlip_autopipec.validate_potential"
_FILENAMES = {
    "potential": "potential.yace",
    "structures": "structures.traj",
    "starts": "starts.traj",
    "settings": "settings.json",
    "yaml": "potential.yaml",
    "asi": "potential.asi",
}
"""Names of the files of a job, by the name of their node."""


def equilibrium_job(
    code: AbstractCode, resources: Dict, potential: SinglefileData, crystals: SinglefileData
) -> dict[str, Any]:
    """Return the inputs of the ShellJob that finds at which sizes crystals have their energy's minimum."""
    nodes = {"potential": potential, "structures": crystals}
    return _job(code, resources, ["equilibrium", "{potential}", "{structures}"], nodes, [EQUILIBRIUM])


def evaluation_job(
    code: AbstractCode,
    resources: Dict,
    potential: SinglefileData,
    structures: SinglefileData,
    active_set: Mapping[str, SinglefileData],
    dynamics: Mapping[str, SinglefileData],
) -> dict[str, Any]:
    """Return the inputs of the ShellJob that evaluates a potential.

    :param active_set: `yaml` and `asi`, for grades; or nothing.
    :param dynamics: `starts` and `settings` of molecular dynamics; or nothing.
    """
    nodes = {"potential": potential, "structures": structures, **active_set, **dynamics}
    arguments, outputs = ["evaluate", "{potential}", "{structures}"], [LABELS]
    if active_set:
        arguments += ["--active-set", "{yaml}", "{asi}"]
    if dynamics:
        arguments += ["--dynamics", "{starts}", "{settings}"]
        outputs += [DYNAMICS]
    return _job(code, resources, arguments, nodes, outputs)


def output_of(job: CalcJobNode, filename: str) -> SinglefileData:
    """Return the node of a file that a job put out."""
    return job.outputs[link_label(filename)]


def _job(
    code: AbstractCode, resources: Dict, arguments: list[str], nodes: Mapping[str, SinglefileData], outputs: list[str]
) -> dict[str, Any]:
    return {
        "code": code,
        "nodes": dict(nodes),
        "filenames": {name: _FILENAMES[name] for name in nodes},
        "arguments": arguments,
        "outputs": outputs,
        "parser": _PARSER,
        "metadata": {
            **job_metadata(resources, redirect_stderr=True, additional_retrieve=[FAILURE]),
            "call_link_label": arguments[0],
        },
    }
