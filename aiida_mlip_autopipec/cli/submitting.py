"""What the commands that begin a run have in common: its settings, and giving it to the daemon."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..config.read import ConfigError, parse_settings, read_yaml
from .common import element_option, load_profile, profile_option

if TYPE_CHECKING:
    from aiida import orm
    from aiida.engine import ProcessBuilder

    from ..config.schemas.pipeline import PipelineConfig

LOCKED_SECONDS = 60.0
"""How long a submission waits for a database that other processes write to."""

config_arguments = [
    click.argument(
        "config_file", required=False, type=click.Path(dir_okay=False, path_type=Path), metavar="[CONFIG.yaml]"
    ),
    element_option,
    click.option("--no-reuse", is_flag=True, help="Compute labels that this profile already holds again."),
    click.option(
        "--validate",
        is_flag=True,
        help="Check the potential against the oracle then; exit status 3, of `watch` too, if it does not pass.",
    ),
    profile_option,
]


def load_config(config_file: Path | None, elements: Sequence[str], no_reuse: bool) -> PipelineConfig:
    """Return the settings of a whole run.

    :raises ConfigError: if they cannot be used.
    """
    from ..config.schemas.pipeline import PipelineConfig

    if config_file is None and not elements:
        raise click.UsageError("name a CONFIG.yaml or an --element, e.g. mlip-auto run --element Cu --output cu")
    content = read_yaml(config_file) if config_file is not None else {}
    if elements:
        content["elements"] = list(elements)
    config = parse_settings(PipelineConfig, content, str(config_file or "--element"))
    return without_reuse(config) if no_reuse else config


def without_reuse(config: PipelineConfig) -> PipelineConfig:
    """Return settings with which all labels are computed, also those that exist."""
    return config.model_copy(update={"oracle": config.oracle.model_copy(update={"reuse": False})})


def submit_run(config: PipelineConfig, profile: str | None, *, validate: bool) -> orm.WorkChainNode:
    """Load the profile and give a whole run to its daemon.

    :param validate: whether the potential is validated when it is made.
    """
    load_profile(profile)
    from ..workflows.builder import build_one_shot

    run = submit_to_daemon(lambda: build_one_shot(config, validate=validate))
    click.echo(f"Run {run.pk} submitted ({'-'.join(config.elements)}, oracle {config.oracle.title}).")
    return run


def submit_to_daemon(build: Callable[[], ProcessBuilder]) -> orm.WorkChainNode:
    """Give a run to the daemon; while another process writes to an embedded database, wait and try again."""
    from aiida.engine import submit
    from aiida.manage import get_manager
    from sqlalchemy.exc import OperationalError

    from ..daemon import ensure_daemon, is_outdated

    if is_outdated(ensure_daemon()):
        click.echo(
            "The daemon was started before this package was last changed; bring it up to date: verdi daemon restart"
        )
    end = time.monotonic() + LOCKED_SECONDS
    while True:
        try:
            return submit(build())
        except OperationalError as error:
            if "database is locked" not in str(error):
                raise
            if time.monotonic() > end:
                raise ConfigError(
                    f"the database has been locked by other processes for {LOCKED_SECONDS:.0f} s: try again later, or "
                    "move to a profile on PostgreSQL (mlip-auto setup profile)"
                ) from error
            get_manager().get_profile_storage().get_session().rollback()
            time.sleep(random.uniform(0.2, 1.0))
