"""Commands on stored data: import, export, list, provenance, touched, compare."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..config.errors import UserError, safe_message
from .common import (
    check_identifier,
    check_name,
    check_new,
    check_target,
    file_argument,
    keys_option,
    load_node,
    load_profile,
    profile_option,
    read_structures,
    say,
    table,
    trust_pickle_option,
    warn_of_implausible_labels,
    write_bytes,
    write_text,
)

if TYPE_CHECKING:
    from aiida.orm import Node

    from ..config.schemas.label_keys import LabelKeys
    from ..provenance.queries import Provenance


@click.command("import")
@click.argument("files", nargs=-1, required=True, type=file_argument)
@click.option("--label", required=True, metavar="NAME", help="Name of the dataset.")
@trust_pickle_option
@keys_option
@profile_option
def import_files(
    files: tuple[Path, ...], label: str, trust_pickle: bool, keys: LabelKeys | None, profile: str | None
) -> None:
    """Store the labelled structures of FILES as a dataset; if one structure or file is invalid, nothing is stored.

    FILES are extended XYZ, ASE databases, .traj, .pckl.gzip, or outputs of VASP (vasprun.xml, OUTCAR), pw.x, CP2K and
    FHI-aims (.out, .pwo, .log). Steps of outputs that failed or did not converge are omitted and counted.
    """
    check_name(label)
    structures = [atoms for path in files for atoms in read_structures(path, None, trust_pickle, keys)]
    warn_of_implausible_labels(structures)
    load_profile(profile)
    from ..dataset.library import store_dataset

    try:
        group = store_dataset(structures, label, description=", ".join(path.name for path in files))
    except ValueError as error:
        raise UserError(str(error)) from error
    click.echo(
        f"Dataset '{label}' stored: {len(structures)} structures (group {group.pk}, `verdi group show {group.pk}`)."
    )


@click.command()
@click.argument("identifier", metavar="PK|UUID|NAME")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "program",
    type=click.Choice(["lammps", "mace", "deepmd", "nequip", "pacemaker", "citation"]),
    help="Write for this program: a folder, or for `citation` a text file.",
)
@profile_option
def export(identifier: str, file: Path, program: str | None, profile: str | None) -> None:
    """Write a dataset, the dataset of a run, or a potential to a new FILE; the suffix determines the format.

    With --format, FILE is a new folder: for LAMMPS, the potential and complete inputs; for MACE, DeePMD-kit, NequIP
    and pacemaker, the dataset. `citation` writes a text for a methods section, with versions and references.
    """
    load_profile(profile, make=False)
    if program is not None:
        say(_export_for(program, identifier, file))
        return
    check_new(file)
    if file.suffix in (".yace", ".yaml", ".asi"):
        from ..runs.results import file_of

        write_bytes(file, file_of(load_node(identifier), file.suffix))
        say(f"Wrote {file}.")
        return
    from ..dataset.library import find_datasets, load_dataset
    from ..dataset.trajectory import all_frames
    from ..trainer.database import DatabaseManager

    # The name of a dataset may be a number.
    if identifier not in {dataset.name for dataset in find_datasets()}:
        check_identifier(identifier)
    try:
        frames = all_frames(load_dataset(identifier))
        DatabaseManager().save_dataset(frames, file, keep_duplicates=True)
    except OSError as error:
        raise UserError(f"{file} cannot be written: {error.strerror or error}") from error
    except ValueError as error:
        raise UserError(str(error)) from error
    say(f"Wrote {file}: {len(frames)} structures.")


def _export_for(program: str, identifier: str, path: Path) -> str:
    """Write an export for a program, and return what was written."""
    from ..runs.exporting import citation_of, export_dataset, export_lammps

    if program == "citation":
        check_new(path)
        write_text(path, citation_of(load_node(identifier)))
        return f"Wrote {path}."
    if program == "lammps":
        return f"Wrote {path}: {', '.join(export_lammps(load_node(identifier), path))}."
    return f"Wrote {path}: {export_dataset(identifier, program, path)} structures for {program}."


@click.command("list")
@profile_option
def list_stored(profile: str | None) -> None:
    """List the stored datasets and potentials, newest first."""
    load_profile(profile, make=False)
    from ..dataset.library import find_datasets
    from ..provenance.queries import find_potentials
    from ..provenance.teachers import OF_TEACHER

    datasets, potentials = find_datasets(), find_potentials()
    rows = [
        (dataset.name, dataset.n_structures, "-".join(dataset.elements), dataset.method, _minute(dataset.created))
        for dataset in datasets
    ]
    click.echo(_safe_table(rows, ("DATASET", "structures", "elements", "method", "date")))
    found = []
    for potential in potentials:
        errors = potential.test_errors
        shown = (f"{errors[0]:.2f}", f"{errors[1]:.4f}") if errors else ("-", "-")
        elements = "-".join(potential.elements) + (OF_TEACHER if potential.of_teacher else "")
        found.append((potential.pk, elements, potential.n_functions, *shown, _minute(potential.created)))
    click.echo()
    click.echo(
        _safe_table(found, ("POTENTIAL", "elements", "functions", "test RMSE meV/atom", "test RMSE eV/Å", "date"))
    )


def _safe_table(rows: Sequence[Sequence[object]], headers: Sequence[str] = ()) -> str:
    return table([[safe_message(str(cell)) for cell in row] for row in rows], headers)


def _minute(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M}"


@click.command()
@click.argument("identifier", metavar="PK|UUID")
@profile_option
def touched(identifier: str, profile: str | None) -> None:
    """List all potentials whose provenance contains a node (for example a wrong calculation), or any process of a run."""
    load_profile(profile, make=False)
    from ..provenance.queries import dependent_potentials

    found = dependent_potentials(load_node(identifier))
    if not found:
        click.echo(f"{identifier} is in the provenance of no potential.")
        return
    rows = [(one.pk, one.uuid, _minute(one.created), "-".join(one.elements)) for one in found]
    click.echo(_safe_table(rows, ("PK", "UUID", "date", "elements")))


@click.command()
@click.argument("first", metavar="PK|UUID")
@click.argument("second", metavar="PK|UUID")
@profile_option
def compare(first: str, second: str, profile: str | None) -> None:
    """Show the differences of two potentials: settings, codes, structures, errors."""
    load_profile(profile, make=False)
    from ..provenance.queries import differences

    found = differences(load_node(first), load_node(second))
    if not found:
        click.echo("The potentials have the same provenance.")
    for key, (in_first, in_second) in found.items():
        click.echo(f"{key}: {json.dumps(in_first)} | {json.dumps(in_second)}")


@click.command()
@click.argument("identifier", metavar="PK|UUID")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--graph", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE.svg", help="Draw the stages as a graph."
)
@profile_option
def provenance(identifier: str, as_json: bool, graph: Path | None, profile: str | None) -> None:
    """Show the provenance of a potential, or of the potential of a run: processes, structures, codes, computers."""
    load_profile(profile, make=False)
    from ..provenance.queries import trace
    from ..runs.progress import is_run

    node = load_node(identifier)
    if is_run(node) and "potential" in node.outputs:
        node = node.outputs.potential
    origin = trace(node)
    if graph is not None:
        from ..provenance.graph import draw

        check_target(graph)
        try:
            draw(origin, graph)
        except OSError as error:
            raise UserError(f"{graph} cannot be written: {error.strerror or error}") from error
        say(f"Wrote {graph}.")
    if as_json:
        click.echo(json.dumps({**origin.as_dict(), "sources": origin.sources.as_dict()}, indent=2))
        return
    click.echo(_made_by(node, origin))
    if not origin.processes:
        click.echo("  no process of this profile made it")
        return
    click.echo("processes, in order of time:")
    for process in origin.processes:
        where = f" on {', '.join(process.computers)}" if process.computers else ""
        code = f", code {', '.join(process.codes)}" if process.codes else ""
        click.echo(f"  {process.count:>5} × {process.label}{code}{where}")
        for uuid in process.uuids[:3]:
            of_run = f" (run {origin.runs[uuid]})" if origin.sources.earlier and uuid in origin.runs else ""
            click.echo(f"          {origin.pks[uuid]} {uuid}{of_run}")
        if len(process.uuids) > 3:
            click.echo(f"          and {len(process.uuids) - 3} more (--json lists all)")
    for line in _structures_behind(origin):
        say(line)
    click.echo(f"codes: {', '.join(origin.codes) or 'none'}")
    click.echo(f"computers: {', '.join(origin.computers) or 'none'}")


def _made_by(node: Node, origin: Provenance) -> str:
    """Return the node and the run that made it."""
    run = origin.sources.run
    by = f", made by run {run.pk} ({run.label}, uuid {run.uuid})" if run is not None else ""
    name = "potential" if getattr(node, "filename", "").endswith(".yace") else "node"
    return f"{name} {node.pk} (uuid {origin.potential}){by}"


def _structures_behind(origin: Provenance) -> Iterator[str]:
    """Yield lines on the structures and labels of this run, of earlier runs, and of datasets."""
    yield "structures and labels:"
    run, earlier = origin.sources.run, origin.sources.earlier
    if run is None or run.generated:
        here = f"run {run.pk}: " if run is not None else ""
        yield f"  {here}{_counts(origin.n_structures_generated, origin.n_structures_selected)}"
    for line in origin.given:
        yield f"    given structure: {line}"
    if origin.sources.reused:
        yield f"  labels reused from earlier runs: {origin.sources.reused}"
    for before in earlier:
        yield f"  run {before.pk} ({before.label}, uuid {before.uuid}), earlier: {_counts(before.generated, before.selected)}"
        for line in before.given:
            yield f"    given structure: {line}"
    for dataset in origin.sources.datasets:
        files = f" ({dataset.files})" if dataset.files else ""
        name = f"dataset '{dataset.name}'" if dataset.name else "own data"
        yield f"  {name}: {dataset.structures} structures{files}"


def _counts(generated: int, selected: int | None) -> str:
    return f"{generated} structures generated" + ("" if selected is None else f", {selected} of them selected")
