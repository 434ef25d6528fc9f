"""Commands on runs of the daemon: submit, status, resume, kill."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .common import load_profile, load_run, profile_option, table
from .display import Shown, follow, stage_line
from .submitting import config_arguments, load_config, submit_run, submit_to_daemon, teacher_option
from .watching import (
    INTERRUPTED,
    explain_failure,
    list_failures,
    next_steps,
    paused_lines,
    print_validation,
    print_verdict,
    see_report,
)

if TYPE_CHECKING:
    from aiida import orm


def _submit(
    config_file: Path | None,
    elements: tuple[str, ...],
    structures: tuple[Path, ...],
    no_reuse: bool,
    validate: bool,
    teacher: str | None,
    profile: str | None,
) -> None:
    """Submit a run (see `mlip-auto run`) to AiiDA's daemon and return immediately.

    The run continues after you log out and, once the daemon is started again, after a reboot of the machine.
    """
    config = load_config(config_file, elements, no_reuse, structures, profile, teacher=teacher)
    run = submit_run(config, profile, validate=validate)
    click.echo(next_steps(run))


for _decorate in reversed([*config_arguments, teacher_option]):
    _submit = _decorate(_submit)
submit = click.command("submit")(_submit)


@click.command()
@click.argument("identifier", metavar="[PK|UUID]", required=False)
@click.option("--watch", is_flag=True, help="Update the display until the run ends.")
@profile_option
def status(identifier: str | None, watch: bool, profile: str | None) -> None:
    """Show the stages of a run, its jobs and an estimate of the time left, or the newest runs."""
    if watch and identifier is None:
        raise click.UsageError("--watch needs the PK of a run")
    load_profile(profile, make=False)
    if identifier is None:
        _list_runs()
        return
    run = load_run(identifier)
    if not watch:
        click.echo("\n".join(_lines(run)))
        if run.is_terminated:
            _show_verdict(run)
        _explain(run)
        return
    try:
        _watch(run)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    _show_verdict(run)
    _explain(run)
    sys.exit(print_validation(run) if run.is_finished_ok else 1)


def _show_verdict(run: orm.WorkChainNode) -> None:
    if print_verdict(run) is not None:
        click.echo(see_report(run))


def _watch(run: orm.WorkChainNode) -> None:
    from ..provenance.calls import last_change

    follow(lambda with_logs: _shown(run, with_logs), lambda: bool(run.is_terminated), last_change)


def _shown(run: orm.WorkChainNode, with_logs: bool) -> Shown:
    from ..runs.live import with_job_progress
    from ..runs.progress import paused_of
    from ..runs.stages import stages

    found = stages(run)
    return with_job_progress(run, found) if with_logs else found, _remarks(run, paused_of(run))


def _lines(run: orm.WorkChainNode) -> list[str]:
    from ..runs.live import with_job_progress
    from ..runs.progress import paused_of, run_state
    from ..runs.stages import stages

    # Queried once, so that the first and the last lines agree.
    paused = paused_of(run)
    shown = [stage_line(stage) for stage in with_job_progress(run, stages(run))]
    return [f"Run {run.pk} ({run.label}): {run_state(run, paused)}", *shown, *_remarks(run, paused)]


def _remarks(run: orm.WorkChainNode, paused: Sequence[orm.ProcessNode]) -> list[str]:
    return [*paused_lines(run, paused), *_daemon_remarks(run)]


def _daemon_remarks(run: orm.WorkChainNode) -> list[str]:
    """Return a line for each problem of the daemon with an active run: not running, tasks not started or lost."""
    from ..host.daemon import is_running
    from ..runs.lost_tasks import certainly_lost_of, have_task
    from ..runs.progress import not_started_of

    if run.is_terminated:
        return []
    if not is_running():
        return [f"The run does not continue, since the daemon is not running: mlip-auto watch {run.pk} starts it"]
    waiting = not_started_of(run)
    lines = [
        f"Not started since {node.ctime.astimezone():%H:%M}: {node.process_label} {node.pk} waits for a worker of the daemon"
        for node in waiting
        if have_task([node])
    ]
    for node in certainly_lost_of(run):
        lines.append(f"Lost by the daemon: {node.process_label} {node.pk} (mlip-auto resume {run.pk})")
    return lines


def _explain(run: orm.WorkChainNode) -> None:
    list_failures(run)
    explain_failure(run)
    if run.is_terminated and not run.is_finished_ok:
        click.echo(f"To resume it: mlip-auto resume {run.pk}", err=True)


def _list_runs() -> None:
    from ..runs.progress import find_runs, run_state
    from ..runs.stages import stages

    nodes = find_runs(limit=10)
    if not nodes:
        click.echo("No runs yet: `mlip-auto run --element Cu` starts one.")
        return
    rows = []
    for node in nodes:
        current = [stage for stage in stages(node) if stage.state != "waiting"]
        at = f"{current[-1].name}: {current[-1].detail}" if current else ""
        rows.append((str(node.pk), f"{node.ctime:%Y-%m-%d %H:%M}", node.label, run_state(node), at))
    click.echo(table(rows, ("PK", "created", "name", "state", "stage")))


@click.command()
@click.argument("identifier", metavar="PK|UUID")
@profile_option
def resume(identifier: str, profile: str | None) -> None:
    """Resume a run: paused processes continue, and processes lost by the daemon are submitted to it again. If a run failed or
    was killed, a new run with the same inputs is submitted.

    The new run reuses existing labels, unless its config forbids it.
    """
    load_profile(profile, make=False)
    from ..host.daemon import ensure_daemon
    from ..runs.control import RESUMES, restart_builder, resubmit_lost, resume_paused

    run = load_run(identifier)
    ensure_daemon()
    resumed = resume_paused(run)
    if resumed:
        click.echo(
            f"Run {run.pk} continues: {', '.join(f'{node.process_label} {node.pk}' for node in resumed)} resumed."
        )
        return
    if resubmitted := resubmit_lost(run):
        names = ", ".join(f"{node.process_label} {node.pk}" for node in resubmitted)
        click.echo(f"Run {run.pk} continues: {names}, lost by the daemon, submitted again.")
        if not run.is_terminated:
            return
    again = submit_to_daemon(lambda: restart_builder(run))
    again.base.extras.set(RESUMES, run.uuid)
    click.echo(f"Run {again.pk} submitted, with the inputs of {run.pk}.")
    click.echo(next_steps(again))


@click.command()
@click.argument("identifier", metavar="PK|UUID")
@profile_option
def kill(identifier: str, profile: str | None) -> None:
    """Kill a run and its jobs, also queued ones. Labels are kept, and `mlip-auto resume` reuses them."""
    load_profile(profile, make=False)
    from ..host.daemon import ensure_daemon
    from ..runs.control import kill as kill_run

    run = load_run(identifier)
    ensure_daemon()
    kill_run(run)
    click.echo(f"Run {run.pk} and its jobs are killed. To resume it: mlip-auto resume {run.pk}")
