"""The command `mlip-auto`."""

from __future__ import annotations

import difflib
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import click

from . import __version__
from .cli import data, running, runs
from .cli import setup as setting_up
from .cli.converging import converge
from .cli.distilling import distill
from .cli.learning import learn
from .cli.properties import properties
from .cli.report import report
from .config.errors import UserError, safe_message
from .host import verdi
from .host.workarounds.waiting_database import why_waiting

# AiiDA warns when it creates the folder of its configuration; the user need not know.
warnings.filterwarnings("ignore", message="Creating AiiDA configuration folder")


class _Group(click.Group):
    """A group that prints the errors meant for users without a traceback."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            ctx.fail(f"No such command {safe_message(repr(args[0]))}.{hint}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            error.message = safe_message(error.message)
            raise
        except UserError as error:
            raise click.ClickException(safe_message(str(error))) from error
        except Exception as error:
            reason = why_waiting(error)
            if reason is None:
                raise
            raise click.ClickException(
                f"{reason}: try this command again later. Runs wait and continue when the problem is solved"
            ) from error


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mlip-auto")
def main() -> None:
    """Make machine-learned interatomic potentials from elements and a reference method; AiiDA records every step."""
    # When AiiDA is imported, it searches the PATH for `verdi`, which is in the folder of this Python.
    programs = str(Path(sys.executable).parent)
    if programs not in os.environ.get("PATH", "").split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join([programs, os.environ.get("PATH", "")])


@click.command(
    verdi.COMMAND,
    hidden=True,
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def daemon_verdi(arguments: tuple[str, ...]) -> None:
    """Run a command of `verdi` with the repairs of aiida-core, as the processes of the daemon do."""
    verdi.run(arguments)


_SUMMARIES = {
    "compare": "Show how two potentials differ",
    "converge": "Find a converged cutoff and k-points",
    "distill": "Fit a potential to a foundation model",
    "export": "Write a dataset or potential to a file",
    "import": "Store labelled structures as a dataset",
    "init": "Write a CONFIG.yaml with all settings",
    "kill": "Kill a run and its jobs",
    "learn": "Make a potential by active learning",
    "list": "List stored datasets and potentials",
    "properties": "Compute properties with a potential",
    "provenance": "Show what a potential was made of",
    "report": "Write the report on a potential",
    "resume": "Resume a paused, lost or failed run",
    "run": "Make a potential from elements or structures",
    "setup": "Set up profile, computers and codes",
    "status": "Show runs, or the stages of a run",
    "submit": "Start a run and return immediately",
    "touched": "List potentials made from a node",
    "train": "Fit a potential to your own labels",
    "validate": "Check a potential against its oracle",
    "watch": "Display a run and write its results",
}
"""Summaries of the commands for the list of commands, each short enough for one line of a terminal."""

for _command in (
    daemon_verdi,
    runs.run,
    runs.run_cycle_02,
    learn,
    distill,
    runs.train,
    runs.validate,
    properties,
    runs.watch,
    running.submit,
    running.status,
    running.resume,
    running.kill,
    runs.init,
    converge,
    setting_up.setup,
    data.import_files,
    data.export,
    data.list_stored,
    data.provenance,
    data.touched,
    data.compare,
    report,
):
    _command.short_help = _SUMMARIES.get(str(_command.name))
    main.add_command(_command)
