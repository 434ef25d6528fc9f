"""The command for active learning."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..config.read import ConfigError, parse_settings, read_yaml
from .common import check_writable, load_profile, load_run, output_option
from .submitting import config_arguments, submit_to_daemon, without_reuse
from .watching import next_steps
from .watching import watch as watch_run

if TYPE_CHECKING:
    from aiida import orm

_ARGUMENTS = [
    *config_arguments,
    output_option,
    click.option("--max-labels", type=click.IntRange(min=1), metavar="N", help="Labels to spend, in all."),
    click.option(
        "--target-force-rmse",
        type=click.FloatRange(min=0.0, min_open=True),
        metavar="X",
        help="Error of the forces on fresh labels, in eV/Å, that is enough.",
    ),
    click.option(
        "--from",
        "previous",
        metavar="PK|UUID",
        help="Go on from this run of `learn`, with its settings but for those given.",
    ),
    click.option("--detach", is_flag=True, help="Return at once; `mlip-auto status` shows the run."),
]


def _learn(
    config_file: Path | None,
    elements: tuple[str, ...],
    no_reuse: bool,
    validate: bool,
    output: Path | None,
    max_labels: int | None,
    target_force_rmse: float | None,
    previous: str | None,
    detach: bool,
    profile: str | None,
) -> None:
    """Make a potential with few labels: explore by it, label what it does not know, fit again, until it is good enough.

    Begins with a few structures as `run` makes them. Then walkers of the newest potential (dynamics, strains, relaxations) hand
    in what it does not know, the oracle labels a choice of that, and so on, until a whole exploration meets nothing new, the
    error on fresh labels is below --target-force-rmse, or --max-labels are spent. The run belongs to AiiDA's daemon.
    With --from a run that ended goes on, say with a larger budget.
    """
    if config_file is None and not elements and previous is None:
        raise click.UsageError("name a CONFIG.yaml or an --element, e.g. mlip-auto learn --element Cu --output cu")
    content = read_yaml(config_file) if config_file is not None else {}
    if output is not None:
        if detach:
            raise click.UsageError(
                "--detach returns before there are results; `mlip-auto watch PK --output DIR` writes them"
            )
        check_writable(output)
    load_profile(profile)
    run = None if previous is None else _load_learning(previous)
    if run is not None:
        content = {**run.inputs.config.get_dict(), **content}
    if elements:
        content["elements"] = list(elements)
    given = {"max_labels": max_labels, "target_force_rmse": target_force_rmse}
    content["learning"] = _with_given(content.get("learning"), given)
    from ..config.schemas.pipeline import PipelineConfig
    from ..workflows.builder import build_learning

    config = parse_settings(PipelineConfig, content, str(config_file or "--element"))
    if no_reuse:
        config = without_reuse(config)
    submitted = submit_to_daemon(lambda: build_learning(config, validate=validate, previous=run))
    click.echo(f"Run {submitted.pk} submitted ({'-'.join(config.elements)}, oracle {config.oracle.title}).")
    if detach:
        click.echo(next_steps(submitted))
        return
    sys.exit(watch_run(submitted, output))


def _with_given(settings: Any, given: dict[str, Any]) -> Any:
    if settings is not None and not isinstance(settings, dict):
        return settings
    return {**(settings or {}), **{name: value for name, value in given.items() if value is not None}}


def _load_learning(identifier: str) -> orm.WorkChainNode:
    from ..workflows.progress import LEARNING

    run = load_run(identifier)
    if run.process_label != LEARNING:
        raise ConfigError(f"run {run.pk} is a {run.process_label}; --from takes a run of `mlip-auto learn`")
    if not run.is_terminated:
        raise ConfigError(f"run {run.pk} is at work yet: mlip-auto status {run.pk}")
    return run


for _decorate in reversed(_ARGUMENTS):
    _learn = _decorate(_learn)
learn = click.command("learn")(_learn)
