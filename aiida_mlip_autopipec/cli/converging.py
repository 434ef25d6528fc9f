"""Command that finds the cheapest cutoff and k-points of an oracle for a target."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..config.errors import UserError
from .common import file_argument, load_profile, profile_option, read_crystals, say, table, write_bytes, write_text
from .submitting import submit_to_daemon

if TYPE_CHECKING:
    from ..config.cutoff import Cutoff
    from ..config.schemas.convergence import ConvergenceConfig
    from ..oracle.convergence import SeriesErrors

PLOT = "convergence.svg"


def _numbers(_context: click.Context, option: click.Parameter, text: str | None) -> list[float] | None:
    try:
        return None if text is None else [float(part) for part in text.split(",")]
    except ValueError as error:
        raise UserError(f"--{option.name}: give numbers separated by commas, such as 30,40,50") from error


@click.command()
@click.argument("config_file", type=file_argument, metavar="CONFIG.yaml")
@click.option("--energy", type=float, metavar="meV/ATOM", help="Target: largest error of the energy; by default 1.")
@click.option("--force", type=float, metavar="meV/Å", help="Target: largest error of a force component; by default 5.")
@click.option(
    "--stress", type=float, metavar="meV/Å^3", help="Target: largest error of a stress component; by default none."
)
@click.option("--cutoffs", callback=_numbers, metavar="A,B,...", help="Cutoffs to try, in the oracle's unit.")
@click.option("--distances", callback=_numbers, metavar="A,B,...", help="Distances of k-points to try, in 1/Å.")
@click.option(
    "--structures",
    type=file_argument,
    metavar="FILE",
    help="File with structures: CIF, POSCAR, extended XYZ, .traj, ASE database, pw.x, VASP; by default distorted crystals.",
)
@click.option("--dry-run", is_flag=True, help="Do not change CONFIG.yaml.")
@profile_option
def converge(
    config_file: Path,
    structures: Path | None,
    dry_run: bool,
    profile: str | None,
    **options: float | list[float] | None,
) -> None:
    """Find the cheapest cutoff and k-points with label errors below a target, and write them into CONFIG.yaml.

    A few structures are computed with growing cutoff and number of k-points. The table and the plot (convergence.svg in the
    folder of CONFIG.yaml) show the errors relative to the finest settings, and the cost. Labels are stored in the database, and
    reused if the command is repeated. Comments in CONFIG.yaml are kept. If no setting reaches the target, CONFIG.yaml is not
    changed, and the exit status is 1.
    """
    from ..config.read import parse_settings, read_yaml
    from ..config.schemas.convergence import ConvergenceConfig
    from ..config.schemas.pipeline import PipelineConfig

    given = {name: value for name, value in options.items() if value is not None}
    target = parse_settings(ConvergenceConfig, given, "options")
    config = parse_settings(PipelineConfig, read_yaml(config_file), str(config_file))
    load_profile(profile)
    from ..oracle.convergence import cheapest, default_structures, errors_of_series, series_to_compute, table_rows
    from ..runs.converging import LabelsAtSettings, find_cutoff, settings_of

    cutoff = find_cutoff(config)
    crystals = list(read_crystals(structures).values()) if structures else default_structures(config.elements)
    cutoffs, distances = series_to_compute(target.cutoffs or list(cutoff.values), target.distances)
    settings = list(dict.fromkeys([*cutoffs, *distances]))
    say(f"{len(crystals)} structures at {len(settings)} settings of {config.oracle.title}")
    labels, seconds = LabelsAtSettings(config, crystals, submit_to_daemon, say).compute(settings, cutoff)
    series_errors = errors_of_series(cutoffs, distances, labels, seconds)
    heads = (
        f"{cutoff.name} ({cutoff.unit})",
        "k-points (1/Å)",
        "energy (meV/atom)",
        "force (meV/Å)",
        "stress (meV/Å^3)",
    )
    say("Errors relative to the finest setting, and time per label:")
    say(table(table_rows(series_errors), [*heads, "s per label"], ["right"] * 6))
    plot = config_file.parent / PLOT
    write_bytes(plot, _plot(series_errors, cutoff, target))
    say(f"Wrote {plot}.")
    found = cheapest(series_errors, target)
    if found is None:
        raise UserError(
            "no setting coarser than the finest one reaches the target: give finer settings by --cutoffs and --distances, or "
            "a larger target"
        )
    setting, errors = found
    say(
        f"Cheapest: {cutoff.name} {setting.cutoff:g} {cutoff.unit}, k-points {setting.distance:g} 1/Å; estimated errors "
        f"{errors.energy:.2f} meV/atom, {errors.force:.2f} meV/Å, {errors.stress:.2f} meV/Å^3; {errors.seconds:.2f} s per label"
    )
    if not dry_run:
        _write(config_file, settings_of(setting, cutoff))


def _write(config_file: Path, settings: dict[str, Any]) -> None:
    from ..config.edit import with_values

    write_text(config_file, with_values(config_file.read_text(encoding="utf-8-sig"), {"oracle": settings}))
    say(f"Wrote these settings into {config_file}.")


def _plot(series_errors: SeriesErrors, cutoff: Cutoff, target: ConvergenceConfig) -> bytes:
    from ..report.convergence import convergence_plot

    quantities = {"energy (meV/atom)": "energy", "force (meV/Å)": "force", "stress (meV/Å^3)": "stress"}
    lines = {
        quantity: {
            cutoff.name: [(f"{one.cutoff:g}", e.seconds, getattr(e, name)) for one, e in series_errors.cutoffs.items()],
            "k-points": [
                (f"{one.distance:g}", e.seconds, getattr(e, name)) for one, e in series_errors.distances.items()
            ],
        }
        for quantity, name in quantities.items()
    }
    return convergence_plot(lines, {quantity: getattr(target, name) for quantity, name in quantities.items()})
