"""Command that writes the report on a potential."""

from __future__ import annotations

from pathlib import Path

import click

from ..config.errors import UserError
from .common import file_argument, load_node, load_profile, profile_option, say, write_text


@click.command()
@click.argument("identifier", metavar="PK|UUID")
@click.option(
    "--output",
    "-o",
    type=file_argument,
    metavar="FILE.html",
    help="Output file, replaced if it exists; report-PK.html by default.",
)
@click.option(
    "--literature",
    type=file_argument,
    metavar="VALUES.yaml",
    help="Literature values, e.g. `Cu fcc: {a: 3.621, C11: 173}`, with the names and units of `mlip-auto properties`.",
)
@profile_option
def report(identifier: str, output: Path | None, literature: Path | None, profile: str | None) -> None:
    """Write a report on a potential, or on the potential of a run, as a self-contained HTML file.

    The report shows the settings, the errors of all structures, the coverage of the dataset, omitted structures, the
    validation, the properties that `mlip-auto properties` computed, wall times, and how to reproduce the potential.
    """
    from ..report.properties import read_literature

    values = read_literature(literature) if literature is not None else {}
    load_profile(profile, make=False)
    from ..report.collect import collect
    from ..report.page import render

    node = load_node(identifier)
    try:
        page = render(collect(node, values))
    except ValueError as error:
        raise UserError(str(error)) from error
    path = output if output is not None else Path(f"report-{node.pk}.html")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}") from error
    write_text(path, page)
    say(f"Wrote {path} ({len(page) / 1e6:.1f} MB): open it in a browser.")
