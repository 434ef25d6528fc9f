"""The command that writes the report on a potential."""

from __future__ import annotations

from pathlib import Path

import click

from ..config.read import ConfigError
from .common import file_argument, load_node, load_profile, profile_option, write_text


@click.command()
@click.argument("identifier", metavar="PK|UUID")
@click.option(
    "--output", "-o", type=file_argument, metavar="FILE.html", help="Where to write it; report-PK.html if not given."
)
@profile_option
def report(identifier: str, output: Path | None, profile: str | None) -> None:
    """Write a report on a potential, or that of a run, as one HTML file that any browser shows without a network.

    What was asked and what came out, errors structure by structure, what the dataset covers, what was left out, the
    validation if there is one, where the time went, and how to make it again.
    """
    load_profile(profile, make=False)
    from ..report.collect import collect
    from ..report.page import render

    node = load_node(identifier)
    try:
        page = render(collect(node))
    except ValueError as error:
        raise ConfigError(str(error)) from error
    path = output if output is not None else Path(f"report-{node.pk}.html")
    write_text(path, page)
    click.echo(f"Wrote {path} ({len(page) / 1e6:.1f} MB): open it in a browser.")
