"""Following a run, and printing what came of it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..config.read import ConfigError

if TYPE_CHECKING:
    from aiida import orm

    from ..workflows.progress import Stage

POLL_SECONDS = 1.0
INTERRUPTED = 130
NOT_PASSED = 3
"""Exit status of a command whose run ended well with a potential that does not pass its validation."""
_MARKS = {"waiting": "·", "running": "▸", "paused": "‖", "done": "✓", "failed": "✗"}


def watch(run: orm.WorkChainNode, output: Path | None) -> int:
    """Print what changes until the run ends, then its errors; return the exit status of the command."""
    try:
        _follow(run)
    except KeyboardInterrupt:
        back = f"mlip-auto watch {run.pk}" + (f" --output {output}" if output is not None else "")
        click.echo(f"\nThe run goes on without this command. To come back: {back}, or mlip-auto status {run.pk}")
        return INTERRUPTED
    made = "potential" in run.outputs
    if not run.is_finished_ok and not made:
        explain_failure(run)
        return 1
    if "metrics" in run.outputs:
        _print_errors(run.outputs.metrics.get_dict())
    list_failures(run)
    status = print_validation(run)
    if not made:
        _write(run, output, "write_validation")
        return status
    click.echo(f"Potential: node {run.outputs.potential.pk} (mlip-auto provenance {run.outputs.potential.pk})")
    _write(run, output, "write_results")
    # A potential that could not be validated is there all the same.
    explain_failure(run)
    return status if run.is_finished_ok else 1


def next_steps(run: orm.WorkChainNode) -> str:
    """Return what may be done with a run that was submitted."""
    return f"mlip-auto status {run.pk} --watch shows where it is, mlip-auto watch {run.pk} --output DIR writes its results."


def _write(run: orm.WorkChainNode, output: Path | None, writer: str) -> None:
    """Write the files of a run by a function of `workflows.results`, if a folder is given."""
    if output is None:
        click.echo(f"Its files: mlip-auto watch {run.pk} --output DIR")
        return
    from ..workflows import results

    try:
        for path in getattr(results, writer)(run, output):
            click.echo(f"  {path}")
    except OSError as error:
        raise ConfigError(
            f"the results cannot be written to {output}: {error.strerror or error}. Nothing is lost: "
            f"mlip-auto watch {run.pk} --output DIR writes them"
        ) from error


def print_validation(run: orm.WorkChainNode) -> int:
    """Print the verdict of a run, if it has one; return the exit status of the command."""
    if "validation" not in run.outputs:
        return 0
    from .verdict import verdict_lines

    validation = run.outputs.validation.get_dict()
    for line in verdict_lines(validation):
        click.echo(line)
    return 0 if validation["passed"] else NOT_PASSED


def _follow(run: orm.WorkChainNode) -> None:
    from ..workflows.stages import stages

    start = time.monotonic()
    shown: dict[str, Stage] = {}
    click.echo(
        f"Ctrl-C ends this display, not the run; `mlip-auto status` and `mlip-auto watch {run.pk}` come back to it."
    )
    while True:
        ended = run.is_terminated
        for stage in stages(run):
            if stage.state != "waiting" and shown.get(stage.name) != stage:
                click.echo(f"{time.monotonic() - start:7.1f} s {stage_line(stage)}")
                shown[stage.name] = stage
        if ended:
            return
        time.sleep(POLL_SECONDS)


def stage_line(stage: Stage) -> str:
    """Return the line that shows a stage."""
    return f"  {_MARKS[stage.state]} {stage.name:<10} {stage.detail}".rstrip()


def time_left(stage: Stage) -> str:
    """Return how long a stage takes yet, as words at the end of its line."""
    if not stage.seconds_left or stage.state != "running":
        return ""
    seconds = stage.seconds_left
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"; about {seconds / size:.0f} {unit} left"
    return f"; about {seconds:.0f} s left"


def explain_failure(run: orm.WorkChainNode) -> None:
    """Print why a run failed, if it did, and where to read more."""
    if not run.is_terminated or run.is_finished_ok:
        return
    reason = run.exit_message or run.exception or str(run.process_state.value)
    click.echo(f"Run {run.pk} failed: {reason}", err=True)
    click.echo(f"Its processes: verdi process status {run.pk}; what they said: verdi process report {run.pk}", err=True)


def list_failures(run: orm.WorkChainNode) -> None:
    """Print which structures have no label, by reason."""
    from ..workflows.progress import failures

    by_reason: dict[str, list[dict[str, Any]]] = {}
    for failure in failures(run):
        by_reason.setdefault(f"{failure['kind']}: {failure['reason']}", []).append(failure)
    for reason, failed in by_reason.items():
        names = ", ".join(f"{failure['label']}[{failure['step']}]" for failure in failed[:5])
        more = f" and {len(failed) - 5} more" if len(failed) > 5 else ""
        click.echo(f"No label: {names}{more}: {reason.splitlines()[0]} (calculation {failed[0]['calculation']})")


def _print_errors(metrics: dict[str, Any]) -> None:
    click.echo()
    click.echo(f"{'':8}{'energy (meV/atom)':>22}{'force (eV/Å)':>22}")
    click.echo(f"{'':8}{'MAE':>11}{'RMSE':>11}{'MAE':>11}{'RMSE':>11}{'structures':>12}{'atoms':>8}")
    for name in ("train", "test"):
        errors = metrics.get(name)
        if not errors:
            continue
        click.echo(
            f"{name:8}{errors['energy_mae_meV_per_atom']:>11.2f}{errors['energy_rmse_meV_per_atom']:>11.2f}"
            f"{errors['force_mae_eV_per_A']:>11.4f}{errors['force_rmse_eV_per_A']:>11.4f}"
            f"{errors['n_structures']:>12}{errors['n_atoms']:>8}"
        )
    if not metrics.get("test"):
        click.echo("No structure was kept to test on: these errors say little of others.")
    if metrics.get("test_overlap"):
        click.echo(
            f"{metrics['test_overlap']} structures to test on are also among those to train on: too good to be true."
        )
    energies = ", ".join(f"{element} {energy:.6g} eV" for element, energy in metrics["reference_energies_eV"].items())
    source = metrics["reference_energies_source"].replace("_", " ")
    click.echo(f"The potential counts energies from these of free atoms: {energies} ({source}).")
    click.echo()
