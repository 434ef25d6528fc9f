"""Inputs of the jobs of `validate_potential`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.orm import AbstractCode, Dict, SinglefileData

from ..programs.catalogue import VALIDATE_POTENTIAL

EQUILIBRIUM, LABELS, DYNAMICS = "equilibrium.json", "labels.npz", "dynamics.npz"


def equilibrium_job(
    code: AbstractCode, resources: Dict, potential: SinglefileData, crystals: SinglefileData
) -> dict[str, Any]:
    """Return the inputs of the ShellJob that finds the energy minima of the crystals."""
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

    :param active_set: `yaml` and `asi` for extrapolation grades, or empty.
    :param dynamics: `starts` and `settings` of molecular dynamics, or empty.
    """
    nodes = {"potential": potential, "structures": structures, **active_set, **dynamics}
    arguments, outputs = ["evaluate", "{potential}", "{structures}"], [LABELS]
    if active_set:
        arguments += ["--active-set", "{yaml}", "{asi}"]
    if dynamics:
        arguments += ["--dynamics", "{starts}", "{settings}"]
        outputs += [DYNAMICS]
    return _job(code, resources, arguments, nodes, outputs)


def _job(
    code: AbstractCode, resources: Dict, arguments: list[str], nodes: Mapping[str, SinglefileData], outputs: list[str]
) -> dict[str, Any]:
    job = VALIDATE_POTENTIAL.job(code, resources, nodes, arguments, outputs)
    job["metadata"]["call_link_label"] = arguments[0]
    return job
