"""Checks of profile, computers, codes and jobs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from aiida.engine import ProcessBuilder

from ..config.errors import UserError
from ..config.oracles import find_oracle
from ..config.schemas.oracle import OracleBase
from ..config.schemas.pipeline import PipelineConfig
from ..config.schemas.resources import ResourcesConfig
from ..config.schemas.setup import CheckConfig
from ..host.computers import ensure_computer, prepare_resources
from .check_result import CheckResult
from .login import check_computer
from .services import check_services
from .trial import label_one, tiny_fit, try_out

LABEL, TEACHER, FIT = "label of a structure", "label by the teacher", "tiny fit"


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
    trials = _trials(config)
    if not jobs or broken:
        reason = "disabled" if not jobs else "not run because of the failures above"
        yield from (CheckResult(name, "skipped", reason) for name in trials)
        return
    for name, make in trials.items():
        yield try_out(name, make, settings.wait)


def _trials(config: PipelineConfig) -> dict[str, Callable[[], ProcessBuilder]]:
    """Return a function for each job of the check, which returns its builder."""
    resources, element = config.resources, config.elements[0]
    trials = {LABEL: partial(label_one, config.oracle, element, resources.oracle)}
    if config.teacher is not None:
        trials[TEACHER] = partial(label_one, config.teacher.oracle, element, resources.teacher)
    return {**trials, FIT: partial(tiny_fit, resources.trainer)}


def _computers(config: PipelineConfig) -> Iterator[CheckResult]:
    wanted: dict[str, dict[str, ResourcesConfig]] = {}
    methods: list[tuple[str, OracleBase, ResourcesConfig]] = [("oracle", config.oracle, config.resources.oracle)]
    if config.teacher is not None:
        methods.append(("teacher", config.teacher.oracle, config.resources.teacher))
    for name, method, resources in methods:
        try:
            computer_of = find_oracle(method.type).computer
            if computer_of is not None:
                # Its code runs on the computer where it is, and needs no Python.
                wanted.setdefault(computer_of(method), {})
            else:
                wanted.setdefault(resources.computer, {})[name] = resources
        except UserError as error:
            yield CheckResult("code" if name == "oracle" else "code of the teacher", "failed", str(error))
    wanted.setdefault(config.resources.trainer.computer, {})["trainer"] = config.resources.trainer
    for label, stages in wanted.items():
        try:
            prepared = {name: prepare_resources(resources) for name, resources in stages.items()}
            yield from check_computer(ensure_computer(label), prepared)
        except UserError as error:
            yield CheckResult(f"computer {label}", "failed", str(error))
