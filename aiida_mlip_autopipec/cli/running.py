"""Commands for runs that the daemon has: submit, status, resume, kill."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .common import load_profile, load_run, profile_option
from .submitting import config_arguments, load_config, submit_run, submit_to_daemon
from .watching import INTERRUPTED, explain_failure, list_failures, next_steps, print_validation, stage_line, time_left

if TYPE_CHECKING:
    from aiida import orm

WATCH_SECONDS = 5.0
"""Time between two looks at a run, and at the logs of its jobs."""


def _submit(
    config_file: Path | None, elements: tuple[str, ...], no_reuse: bool, validate: bool, profile: str | None
) -> None:
    """Give a run, from elements to a potential, to AiiDA's daemon and return at once.

    The run goes on when you log out, and on after a restart of the machine once the daemon is started again.
    """
    run = submit_run(load_config(config_file, elements, no_reuse), profile, validate=validate)
    click.echo(next_steps(run))


for _decorate in reversed(config_arguments):
    _submit = _decorate(_submit)
submit = click.command("submit")(_submit)


@click.command()
@click.argument("identifier", metavar="[PK|UUID]", required=False)
@click.option("--watch", is_flag=True, help="Show it again and again until the run ends.")
@profile_option
def status(identifier: str | None, watch: bool, profile: str | None) -> None:
    """Show the stages of one run, what its jobs do and how long it takes yet, or the newest runs."""
    if watch and identifier is None:
        raise click.UsageError("--watch takes the PK of a run")
    load_profile(profile, make=False)
    if identifier is None:
        _list_runs()
        return
    run = load_run(identifier)
    if not watch:
        click.echo("\n".join(_lines(run)))
        _explain(run)
        return
    try:
        _watch(run)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    _explain(run)
    sys.exit(print_validation(run) if run.is_finished_ok else 1)


def _watch(run: orm.WorkChainNode) -> None:
    shown: list[str] = []
    while True:
        ended = run.is_terminated
        lines = _lines(run)
        if lines != shown:
            if sys.stdout.isatty():
                click.clear()
            click.echo("\n".join([time.strftime("%H:%M:%S"), *lines]))
            shown = lines
        if ended:
            return
        time.sleep(WATCH_SECONDS)


def _lines(run: orm.WorkChainNode) -> list[str]:
    from ..workflows.live import with_live
    from ..workflows.progress import not_begun_of, paused_of, run_state, why_paused
    from ..workflows.stages import stages

    # Asked once, so that the first line and the last ones agree.
    paused = paused_of(run)
    lines = [f"Run {run.pk} ({run.label}): {run_state(run, paused)}"]
    for stage in with_live(run, stages(run)):
        lines.append(stage_line(stage) + time_left(stage))
    for node in paused:
        why = why_paused(node)
        lines.append(f"Paused: {node.process_label} {node.pk}{why and f': {why}'} (mlip-auto resume {run.pk})")
    for node in not_begun_of(run):
        lines.append(
            f"Not begun since {node.ctime.astimezone():%H:%M}: {node.process_label} {node.pk}; the daemon does not run "
            f"(verdi daemon status), is busy, or has lost it (mlip-auto resume {run.pk})"
        )
    return lines


def _explain(run: orm.WorkChainNode) -> None:
    list_failures(run)
    explain_failure(run)
    if run.is_terminated and not run.is_finished_ok:
        click.echo(f"To begin it again, without computing a label twice: mlip-auto resume {run.pk}", err=True)


def _list_runs() -> None:
    from ..workflows.progress import find_runs, run_state
    from ..workflows.stages import stages

    nodes = find_runs(limit=10)
    if not nodes:
        click.echo("No runs yet: `mlip-auto run --element Cu` makes one.")
    for node in nodes:
        current = [stage for stage in stages(node) if stage.state != "waiting"]
        at = f"{current[-1].name}: {current[-1].detail}" if current else ""
        click.echo(f"{node.pk:>8}  {node.ctime:%Y-%m-%d %H:%M}  {node.label:<20}  {run_state(node):<8}  {at}")


@click.command()
@click.argument("identifier", metavar="PK|UUID")
@profile_option
def resume(identifier: str, profile: str | None) -> None:
    """Let a run go on: what is paused is played, and what the daemon has lost is given to it again; one that failed or was
    killed begins again with the same inputs.

    What begins again takes the labels that exist, whatever computed them, unless its config says not to.
    """
    load_profile(profile, make=False)
    from ..daemon import ensure_daemon
    from ..workflows.control import RESUMES, begin_again, play, revive

    run = load_run(identifier)
    ensure_daemon()
    played = play(run)
    if played:
        click.echo(f"Run {run.pk} goes on: {', '.join(f'{node.process_label} {node.pk}' for node in played)} played.")
        return
    if revived := revive(run):
        names = ", ".join(f"{node.process_label} {node.pk}" for node in revived)
        click.echo(f"Run {run.pk} goes on: the daemon had lost {names}, and has it again.")
        return
    again = submit_to_daemon(lambda: begin_again(run))
    again.base.extras.set(RESUMES, run.uuid)
    click.echo(f"Run {again.pk} submitted, with the inputs of {run.pk}.")
    click.echo(next_steps(again))


@click.command()
@click.argument("identifier", metavar="PK|UUID")
@profile_option
def kill(identifier: str, profile: str | None) -> None:
    """End a run and its jobs, in the queues too. What is labelled stays, and `mlip-auto resume` begins again from there."""
    load_profile(profile, make=False)
    from ..daemon import ensure_daemon
    from ..workflows.control import kill as kill_run

    run = load_run(identifier)
    ensure_daemon()
    kill_run(run)
    click.echo(f"Run {run.pk} is killed, and so are its jobs. To begin it again: mlip-auto resume {run.pk}")
