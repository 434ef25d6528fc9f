"""Display of a run until it ends, and of its results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..config.errors import UserError
from .common import say, table
from .display import Shown, follow

if TYPE_CHECKING:
    from aiida import orm

    from ..report.model import Subject

INTERRUPTED = 130
NOT_PASSED = 3
"""Exit status of a command whose run succeeded with a potential that failed its validation."""


def watch(run: orm.WorkChainNode, output: Path | None) -> int:
    """Display the run until it ends, then print its errors and results; return the exit status of the command."""
    if not run.is_terminated:
        click.echo(
            f"Ctrl-C ends this display, not the run; `mlip-auto status` or `mlip-auto watch {run.pk}` shows it again."
        )
    try:
        follow_run(run)
    except KeyboardInterrupt:
        command = f"mlip-auto watch {run.pk}" + (f" --output {output}" if output is not None else "")
        click.echo(
            f"\nThe run continues without this command. To display it again: {command}, or mlip-auto status {run.pk}"
        )
        return INTERRUPTED
    from ..provenance.calls import output_of

    potential, metrics = output_of(run, "potential"), output_of(run, "metrics")
    if not run.is_finished_ok and potential is None:
        explain_failure(run)
        return 1
    if metrics is not None:
        _print_errors(metrics.get_dict())
    list_failures(run)
    status = print_validation(run)
    if potential is None:
        _write(run, output, "write_validation")
        return status
    report = print_verdict(run)
    click.echo(f"Potential: node {potential.pk} (mlip-auto provenance {potential.pk})")
    _write(run, output, "write_results", *([report] if report is not None else []))
    click.echo(see_report(run, output))
    # A run whose validation failed has a potential and a failure.
    explain_failure(run)
    return status if run.is_finished_ok else 1


def next_steps(run: orm.WorkChainNode) -> str:
    """Return the commands that show a submitted run and write its results."""
    return f"mlip-auto status {run.pk} --watch shows its progress, mlip-auto watch {run.pk} --output DIR writes its results."


def _write(run: orm.WorkChainNode, output: Path | None, writer: str, *arguments: Any) -> None:
    """Write the files of a run to a folder, if one is given.

    :param writer: name of a function of `runs.results`.
    :param arguments: its further arguments.
    """
    if output is None:
        click.echo(f"To write its files: mlip-auto watch {run.pk} --output DIR")
        return
    click.echo(f"Writing the results to {output}")
    from ..runs import results

    before = set(output.glob("*"))
    try:
        for path in getattr(results, writer)(run, output, *arguments):
            click.echo(f"  {path}{' (replaced)' if path in before else ''}")
    except OSError as error:
        raise UserError(
            f"the results cannot be written to {output}: {error.strerror or error}. They are still in "
            f"the database: mlip-auto watch {run.pk} --output DIR writes them"
        ) from error


def print_validation(run: orm.WorkChainNode) -> int:
    """Print the validation of a run, if there is one; return the exit status of the command."""
    from ..provenance.calls import output_of

    verdict = output_of(run, "validation")
    if verdict is None:
        return 0
    from .verdict import verdict_lines

    validation = verdict.get_dict()
    for line in verdict_lines(validation):
        click.echo(line)
    return 0 if validation["passed"] else NOT_PASSED


def print_verdict(run: orm.WorkChainNode) -> Subject | None:
    """Print the verdict of the report on the potential of a run, with its reasons; return the data of the report.

    :returns: None if the run has no potential made by a fit of this package.
    """
    from ..provenance.calls import output_of

    if output_of(run, "potential") is None:
        return None
    from ..report.collect import collect
    from ..report.summary import summary

    try:
        subject = collect(run)
    except (ValueError, LookupError):
        # A fit of another program or of an older version.
        return None
    for line in summary(subject):
        say(line)
    click.echo()
    return subject


def see_report(run: orm.WorkChainNode, output: Path | None = None) -> str:
    """Return where the report on the potential of a run is, or the command that writes it."""
    return f"See the report: mlip-auto report {run.pk}" if output is None else f"See {output / 'report.html'}"


def follow_run(run: orm.WorkChainNode) -> None:
    """Show the stages of a run until it ends."""
    from ..provenance.calls import last_change
    from ..runs.live import with_job_progress
    from ..runs.progress import paused_of
    from ..runs.stages import stages

    def look(with_logs: bool) -> Shown:
        found = stages(run)
        return with_job_progress(run, found) if with_logs else found, paused_lines(run, paused_of(run))

    follow(look, lambda: bool(run.is_terminated), last_change)


def paused_lines(run: orm.WorkChainNode, paused: Sequence[orm.ProcessNode]) -> list[str]:
    """Return a line for each paused process of a run, with the reason and how to resume."""
    from ..runs.progress import why_paused

    lines = []
    for node in paused:
        reason = why_paused(node)
        lines.append(f"Paused: {node.process_label} {node.pk}{reason and f': {reason}'} (mlip-auto resume {run.pk})")
    return lines


def explain_failure(run: orm.WorkChainNode) -> None:
    """Print why a run failed, if it did, and the commands that show more."""
    if not run.is_terminated or run.is_finished_ok:
        return
    reason = run.exit_message or run.exception or str(run.process_state.value)
    click.echo(f"Run {run.pk} failed: {reason}", err=True)
    click.echo(f"Its processes: verdi process status {run.pk}; its log: verdi process report {run.pk}", err=True)


def list_failures(run: orm.WorkChainNode) -> None:
    """Print the failed labels, by reason."""
    from ..runs.progress import failed_labels

    by_reason: dict[str, list[dict[str, Any]]] = {}
    for failure in failed_labels(run):
        by_reason.setdefault(f"{failure['kind']}: {failure['reason']}", []).append(failure)
    for reason, failed in by_reason.items():
        names = ", ".join(f"{failure['label']}, frame {failure['step']}" for failure in failed[:5])
        more = f" and {len(failed) - 5} more" if len(failed) > 5 else ""
        click.echo(f"Failed label: {names}{more}: {reason.splitlines()[0]} (calculation {failed[0]['calculation']})")


def _print_errors(metrics: dict[str, Any]) -> None:
    rows = [
        (
            "test *" if name == "test_with_overlap" else name,
            *(f"{errors[f'energy_{kind}_meV_per_atom']:.2f}" for kind in ("mae", "rmse")),
            *(f"{errors[f'force_{kind}_eV_per_A']:.4f}" for kind in ("mae", "rmse")),
            str(errors["n_structures"]),
            str(errors["n_atoms"]),
        )
        for name in ("train", "test", "test_with_overlap")
        if (errors := metrics.get(name))
    ]
    headers = ("", "energy MAE", "RMSE (meV/atom)", "force MAE", "RMSE (eV/Å)", "structures", "atoms")
    click.echo()
    click.echo(table(rows, headers, ("left", *("right",) * 6)))
    if metrics.get("test_overlap"):
        click.echo(f"* with {metrics['test_overlap']} test structures that equal training structures")
    if not metrics.get("test"):
        click.echo("There are no independent test structures: errors on other structures may be larger.")
    energies = ", ".join(f"{element} {energy:.6g} eV" for element, energy in metrics["reference_energies_eV"].items())
    if metrics["reference_energies_source"] == "least_squares":
        click.echo(
            f"Energies of the potential are relative to fitted offsets: {energies}. Not every element has an isolated "
            "atom in the data, so cohesive energies are meaningless."
        )
    else:
        source = metrics["reference_energies_source"].replace("_", " ")
        click.echo(f"Energies of the potential are relative to free atoms: {energies} ({source}).")
    click.echo()
