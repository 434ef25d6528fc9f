"""Commands around what is stored: import, export, list, provenance, touched, compare."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import click

from ..config.read import ConfigError
from .common import file_argument, load_node, load_profile, profile_option, read_structures


@click.command("import")
@click.argument("files", nargs=-1, required=True, type=file_argument)
@click.option("--label", required=True, metavar="NAME", help="Name of the dataset.")
@click.option("--trust-pickle", is_flag=True, help="Read .pckl.gzip as it is, which runs any code in it.")
@profile_option
def import_files(files: tuple[Path, ...], label: str, trust_pickle: bool, profile: str | None) -> None:
    """Store labelled structures of FILES as a dataset: all of them, or nothing.

    FILES are extended XYZ, ASE databases, .traj, .pckl.gzip, or outputs of VASP (vasprun.xml, OUTCAR) and pw.x (.pwo, .out).
    """
    structures = [atoms for path in files for atoms in read_structures(path, None, trust_pickle)]
    load_profile(profile)
    from ..dataset.library import store_dataset

    try:
        group = store_dataset(structures, label, description=", ".join(path.name for path in files))
    except ValueError as error:
        raise ConfigError(str(error)) from error
    click.echo(
        f"Dataset '{label}' stored: {len(structures)} structures (group {group.pk}, `verdi group show {group.pk}`)."
    )


@click.command()
@click.argument("identifier", metavar="PK|UUID|NAME")
@click.argument("file", type=file_argument)
@profile_option
def export(identifier: str, file: Path, profile: str | None) -> None:
    """Write a dataset, the dataset of a run, or a potential to FILE, whose suffix tells the format."""
    load_profile(profile, make=False)
    if file.suffix in (".yace", ".yaml", ".asi"):
        from ..workflows.results import file_of

        _write(file, lambda: file.write_bytes(file_of(load_node(identifier), file.suffix)))
        click.echo(f"Wrote {file}.")
        return
    from ..dataset.library import load_dataset
    from ..dataset.trajectory import all_frames
    from ..trainer.database import DatabaseManager

    try:
        frames = all_frames(load_dataset(identifier))
        _write(file, lambda: DatabaseManager().save_dataset(frames, file, keep_duplicates=True))
    except ValueError as error:
        raise ConfigError(str(error)) from error
    click.echo(f"Wrote {file}: {len(frames)} structures.")


def _write(file: Path, write: Callable[[], object]) -> None:
    try:
        write()
    except OSError as error:
        raise ConfigError(f"{file} cannot be written: {error.strerror or error}") from error


@click.command("list")
@profile_option
def list_stored(profile: str | None) -> None:
    """List the stored datasets and potentials, newest first."""
    load_profile(profile, make=False)
    from ..dataset.library import find_datasets
    from ..provenance import find_potentials

    datasets, potentials = find_datasets(), find_potentials()
    click.echo(f"{'DATASET':<24} {'structures':>10}  {'elements':<12} {'method':<16} date")
    for dataset in datasets:
        elements = "-".join(dataset.elements)
        click.echo(
            f"{dataset.name:<24} {dataset.n_structures:>10}  {elements:<12} {dataset.method:<16} "
            f"{dataset.created:%Y-%m-%d %H:%M}"
        )
    click.echo(
        f"\n{'POTENTIAL':<10} {'elements':<12} {'functions':>9} {'meV/atom':>9} {'eV/Å':>8}  date (RMSE on test)"
    )
    for potential in potentials:
        errors = potential.test_errors
        shown = f"{errors[0]:>9.2f} {errors[1]:>8.4f}" if errors else f"{'-':>9} {'-':>8}"
        elements = "-".join(potential.elements)
        click.echo(
            f"{potential.pk:<10} {elements:<12} {potential.n_functions:>9} {shown}  {potential.created:%Y-%m-%d %H:%M}"
        )


@click.command()
@click.argument("identifier", metavar="PK|UUID")
@profile_option
def touched(identifier: str, profile: str | None) -> None:
    """List every potential that a node stands behind: a calculation found to be wrong, say, or structures."""
    load_profile(profile, make=False)
    from ..provenance import potentials_behind_which

    found = potentials_behind_which(load_node(identifier))
    if not found:
        click.echo(f"{identifier} stands behind no potential.")
    for potential in found:
        click.echo(
            f"{potential.pk:>8}  {potential.uuid}  {potential.created:%Y-%m-%d %H:%M}  {'-'.join(potential.elements)}"
        )


@click.command()
@click.argument("first", metavar="PK|UUID")
@click.argument("second", metavar="PK|UUID")
@profile_option
def compare(first: str, second: str, profile: str | None) -> None:
    """Tell what differs between two potentials: settings, codes, structures, errors."""
    load_profile(profile, make=False)
    from ..provenance import differences

    found = differences(load_node(first), load_node(second))
    if not found:
        click.echo("Nothing differs in what stands behind them.")
    for key, (one, other) in found.items():
        click.echo(f"{key}: {json.dumps(one)} | {json.dumps(other)}")


@click.command()
@click.argument("identifier", metavar="PK|UUID")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--graph", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE.svg", help="Draw it, a box a stage."
)
@profile_option
def provenance(identifier: str, as_json: bool, graph: Path | None, profile: str | None) -> None:
    """Show what stands behind a potential, or a run's: processes, structures, codes, computers, from the generator on."""
    load_profile(profile, make=False)
    from ..provenance import trace
    from ..workflows.progress import is_run

    node = load_node(identifier)
    if is_run(node) and "potential" in node.outputs:
        node = node.outputs.potential
    origin = trace(node)
    if graph is not None:
        from ..provenance_graph import draw

        _write(graph, lambda: draw(origin, graph))
        click.echo(f"Wrote {graph}.")
    if as_json:
        click.echo(json.dumps(origin.as_dict(), indent=2))
        return
    click.echo(f"{identifier} (uuid {origin.potential})")
    if not origin.processes:
        click.echo("  was made by no process of this profile")
        return
    click.echo("processes, in order of time:")
    for process in origin.processes:
        where = f" on {', '.join(process.computers)}" if process.computers else ""
        what = f", code {', '.join(process.codes)}" if process.codes else ""
        click.echo(f"  {process.count:>5} × {process.label}{what}{where}")
        for uuid in process.uuids[:3]:
            click.echo(f"          {uuid}")
        if len(process.uuids) > 3:
            click.echo(f"          and {len(process.uuids) - 3} more (--json lists all)")
    selected = "" if origin.n_structures_selected is None else f", {origin.n_structures_selected} of them selected"
    made = f"{origin.n_structures_generated} generated, in {len(origin.structures)} trajectories{selected}"
    click.echo(f"structures: {made}:")
    click.echo(f"  {', '.join(sorted(set(origin.structures.values())))}")
    click.echo(f"codes: {', '.join(origin.codes) or 'none'}")
    click.echo(f"computers: {', '.join(origin.computers) or 'none'}")
