"""Command for active learning."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..config.errors import UserError
from .common import check_writable, load_run, output_option, warn
from .submitting import (
    check_input,
    complete_structures,
    config_arguments,
    origin_of,
    prepare,
    read_config,
    submit_to_daemon,
    teacher_option,
    with_teacher,
    without_reuse,
)
from .watching import next_steps
from .watching import watch as watch_run

if TYPE_CHECKING:
    from aiida import orm

_ARGUMENTS = [
    *config_arguments,
    teacher_option,
    output_option,
    click.option("--max-labels", type=click.IntRange(min=1), metavar="N", help="Budget: largest number of labels."),
    click.option(
        "--target-force-rmse",
        type=click.FloatRange(min=0.0, min_open=True),
        metavar="X",
        help="Target for the root mean square error of the forces on new labels, in eV/Å.",
    ),
    click.option(
        "--from",
        "previous",
        metavar="PK|UUID",
        help="Continue this ended run of `learn`. Sections that CONFIG.yaml does not have are those of that run.",
    ),
    click.option(
        "--detach", is_flag=True, help="Submit the run and return immediately; `mlip-auto status` shows the run."
    ),
]


def _learn(
    config_file: Path | None,
    elements: tuple[str, ...],
    structures: tuple[Path, ...],
    no_reuse: bool,
    validate: bool,
    teacher: str | None,
    output: Path | None,
    max_labels: int | None,
    target_force_rmse: float | None,
    previous: str | None,
    detach: bool,
    profile: str | None,
) -> None:
    """Make a potential with few labels by active learning: explore, select, label and fit in rounds.

    The first potential is fitted to a few structures as in `run`. In each round, MD runs, deformations and relaxations with the
    newest potential save structures with a large extrapolation grade, the oracle labels a selection of them, and a new
    potential is fitted. The run stops when an exploration finds no new structure above the limit of the grade, the force error
    on new labels is at most --target-force-rmse, or the budget --max-labels is used up. AiiDA's daemon executes the run. --from
    continues an ended run, for example with a larger budget.
    """
    from ..config.read import parse_settings

    check_input("learn", config_file, elements, structures, previous)
    content = read_config(config_file, may_be_empty=bool(elements or structures or previous))
    if output is not None:
        if detach:
            raise click.UsageError(
                "--detach returns before there are results; `mlip-auto watch PK --output DIR` writes them"
            )
        check_writable(output)
    prepare(profile)
    run = None if previous is None else _load_learning(previous)
    if run is not None:
        content = {**run.inputs.config.get_dict(), **content}
    if elements:
        content["elements"] = list(elements)
    content = with_teacher(content, teacher, config_file)
    content = complete_structures(content, structures, config_file, profile)
    overrides = {"max_labels": max_labels, "target_force_rmse": target_force_rmse}
    content["learning"] = _with_overrides(content.get("learning"), overrides)
    from ..config.schemas.pipeline import PipelineConfig
    from ..pipelines.builders import build_learning

    config = parse_settings(PipelineConfig, content, origin_of(config_file, elements))
    if no_reuse:
        config = without_reuse(config)
    submitted = submit_to_daemon(lambda: build_learning(config, validate=validate, previous=run, warn=warn))
    click.echo(f"Run {submitted.pk} submitted ({'-'.join(sorted(config.elements))}, oracle {config.oracle.title}).")
    if detach:
        click.echo(next_steps(submitted))
        return
    sys.exit(watch_run(submitted, output))


def _with_overrides(settings: Any, overrides: dict[str, Any]) -> Any:
    if settings is not None and not isinstance(settings, dict):
        return settings
    return {**(settings or {}), **{name: value for name, value in overrides.items() if value is not None}}


def _load_learning(identifier: str) -> orm.WorkChainNode:
    from ..runs.progress import LEARNING

    run = load_run(identifier)
    if run.process_label != LEARNING:
        raise UserError(f"run {run.pk} is a {run.process_label}; --from takes a run of `mlip-auto learn`")
    if not run.is_terminated:
        raise UserError(
            f"run {run.pk} is still active, and --from continues only ended runs: mlip-auto status {run.pk}"
        )
    return run


for _decorate in reversed(_ARGUMENTS):
    _learn = _decorate(_learn)
learn = click.command("learn")(_learn)
