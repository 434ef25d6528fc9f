"""The command `mlip-auto`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from . import __version__
from .cli import data, running, runs
from .cli import setup as setting_up
from .cli.learning import learn
from .cli.report import report
from .config.read import ConfigError


class _Group(click.Group):
    """A group that prints the errors meant for users without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mlip-auto")
def main() -> None:
    """From elements and a reference method to a machine-learned interatomic potential, every step on record."""
    # AiiDA looks for `verdi`, which starts its daemon, when it is imported; it stands beside this Python, on no PATH perhaps.
    programs = str(Path(sys.executable).parent)
    if programs not in os.environ.get("PATH", "").split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join([programs, os.environ.get("PATH", "")])


for _command in (
    runs.run,
    runs.run_cycle_02,
    learn,
    runs.train,
    runs.validate,
    runs.watch,
    running.submit,
    running.status,
    running.resume,
    running.kill,
    runs.init,
    setting_up.setup,
    data.import_files,
    data.export,
    data.list_stored,
    data.provenance,
    data.touched,
    data.compare,
    report,
):
    main.add_command(_command)
