"""The check of all that a run on a computer stands on, line by line."""

from __future__ import annotations

from collections.abc import Iterator

from ..config.read import ConfigError
from ..config.schemas.oracle import QuantumEspressoOracleConfig
from ..config.schemas.pipeline import PipelineConfig
from ..config.schemas.resources import ResourcesConfig
from ..config.schemas.setup import CheckConfig
from ..environment import ensure_computer, prepare_resources
from ..oracle.prepare import find_pw_code
from .finding import Finding
from .login import check_computer
from .services import check_services
from .trial import label_one, tiny_fit, try_out

LABEL, FIT = "label of a structure", "tiny fit"


def check(config: PipelineConfig, settings: CheckConfig, *, jobs: bool = True) -> Iterator[Finding]:
    """Check the loaded profile, and the computers of a config's stages.

    :param jobs: whether to try a label and a fit as jobs too.
    """
    broken = False
    for finding in check_services():
        broken |= finding.state == "failed" and finding.name != "settings"
        yield finding
    if broken:
        yield Finding("computers", "skipped", "they are checked once the lines above are mended")
        return
    for finding in _computers(config):
        broken |= finding.state == "failed"
        yield finding
    if not jobs or broken:
        why = "not asked for" if not jobs else "they are tried once the lines above are mended"
        yield from (Finding(name, "skipped", why) for name in (LABEL, FIT))
        return
    where = config.resources
    yield try_out(LABEL, lambda: label_one(config.oracle, config.elements[0], where.oracle), settings.wait)
    yield try_out(FIT, lambda: tiny_fit(where.trainer), settings.wait)


def _computers(config: PipelineConfig) -> Iterator[Finding]:
    wanted: dict[str, dict[str, ResourcesConfig]] = {}
    try:
        if isinstance(config.oracle, QuantumEspressoOracleConfig):
            # It runs where its code is, and needs no Python there.
            wanted[find_pw_code(config.oracle.code).computer.label] = {}
        else:
            wanted[config.resources.oracle.computer] = {"oracle": config.resources.oracle}
    except ConfigError as error:
        yield Finding("code", "failed", str(error))
    wanted.setdefault(config.resources.trainer.computer, {})["trainer"] = config.resources.trainer
    for label, stages in wanted.items():
        try:
            there = {name: prepare_resources(resources) for name, resources in stages.items()}
            yield from check_computer(ensure_computer(label), there)
        except ConfigError as error:
            yield Finding(f"computer {label}", "failed", str(error))
