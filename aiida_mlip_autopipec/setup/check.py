"""Checks of profile, computers, codes and jobs."""

from __future__ import annotations

from collections.abc import Iterator

from ..config.errors import UserError
from ..config.oracles import find_oracle
from ..config.schemas.pipeline import PipelineConfig
from ..config.schemas.resources import ResourcesConfig
from ..config.schemas.setup import CheckConfig
from ..host.computers import ensure_computer, prepare_resources
from .check_result import CheckResult
from .login import check_computer
from .services import check_services
from .trial import label_one, tiny_fit, try_out

LABEL, FIT = "label of a structure", "tiny fit"


def check(config: PipelineConfig, settings: CheckConfig, *, jobs: bool = True) -> Iterator[CheckResult]:
    """Check the loaded profile and the computers of a config, and yield the results.

    :param jobs: whether to run a label and a fit as jobs.
    """
    broken = False
    for finding in check_services():
        broken |= finding.state == "failed" and finding.name != "settings"
        yield finding
    if broken:
        yield CheckResult("computers", "skipped", "not checked because of the failures above")
        return
    for finding in _computers(config):
        broken |= finding.state == "failed"
        yield finding
    if not jobs or broken:
        reason = "disabled" if not jobs else "not run because of the failures above"
        yield from (CheckResult(name, "skipped", reason) for name in (LABEL, FIT))
        return
    resources = config.resources
    yield try_out(LABEL, lambda: label_one(config.oracle, config.elements[0], resources.oracle), settings.wait)
    yield try_out(FIT, lambda: tiny_fit(resources.trainer), settings.wait)


def _computers(config: PipelineConfig) -> Iterator[CheckResult]:
    wanted: dict[str, dict[str, ResourcesConfig]] = {}
    try:
        computer_of = find_oracle(config.oracle.type).computer
        if computer_of is not None:
            # Its code runs on the computer where it is, and needs no Python.
            wanted[computer_of(config.oracle)] = {}
        else:
            wanted[config.resources.oracle.computer] = {"oracle": config.resources.oracle}
    except UserError as error:
        yield CheckResult("code", "failed", str(error))
    wanted.setdefault(config.resources.trainer.computer, {})["trainer"] = config.resources.trainer
    for label, stages in wanted.items():
        try:
            prepared = {name: prepare_resources(resources) for name, resources in stages.items()}
            yield from check_computer(ensure_computer(label), prepared)
        except UserError as error:
            yield CheckResult(f"computer {label}", "failed", str(error))
