"""Command that computes properties with a potential."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..config.errors import UserError
from .common import (
    check_writable,
    file_argument,
    load_node,
    load_profile,
    output_option,
    profile_option,
    read_crystals,
    say,
    write_text,
)

if TYPE_CHECKING:
    from ase import Atoms

    from ..config.schemas.properties import PropertiesConfig

RESULTS = "properties.json"


@click.command()
@click.argument("potential", metavar="POTENTIAL")
@click.argument("names", nargs=-1, metavar="[PROPERTY]...")
@click.option(
    "--config", "config_file", type=file_argument, metavar="PROPERTIES.yaml", help="Settings of the properties."
)
@click.option(
    "--structures",
    type=file_argument,
    metavar="FILE",
    help="File with crystals: CIF, POSCAR, extended XYZ, .traj, ASE database, pw.x, VASP; by default the reference crystal of "
    "each element.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@output_option
@profile_option
def properties(
    potential: str,
    names: tuple[str, ...],
    config_file: Path | None,
    structures: Path | None,
    as_json: bool,
    output: Path | None,
    profile: str | None,
) -> None:
    """Compute properties with a potential: lattice, elastic, phonons, thermal_expansion, thermal_conductivity, defects,
    migration, stacking_fault, surfaces, hull, liquid, melting.

    Without names: lattice, elastic, phonons, defects and surfaces, or those of PROPERTIES.yaml. POTENTIAL is a PK or UUID
    (also of a run), or a .yace file. The computation runs in this process, needs no daemon, and is stored with its provenance.
    With --output, the results are written as properties.json and as plots.
    """
    config = _config(config_file, names)
    if output is not None:
        check_writable(output)
    crystals = None if structures is None else read_crystals(structures)
    load_profile(profile)
    from ..pipelines.potentials import potential_from_file, stored_potential
    from ..properties.calcfunctions import run_properties
    from ..properties.crystals import reference_crystals
    from ..properties.registry import chosen_properties
    from ..properties.table import table

    chosen_properties(config)
    path = Path(potential)
    found = potential_from_file(path) if path.suffix == ".yace" else stored_potential(load_node(potential))
    given = crystals if crystals is not None else reference_crystals(found.elements)
    _check_elements(given, found.elements)
    results, node = run_properties(found.file, config, given, lambda line: click.echo(line, err=True))
    say_lines = json.dumps(results, indent=2) if as_json else table(results)
    for line in say_lines.splitlines():
        say(line)
    if output is not None:
        _write(results, output)
    click.echo(f"Stored as node {node.pk}.", err=True)


def _config(config_file: Path | None, names: tuple[str, ...]) -> PropertiesConfig:
    from ..config.read import parse_settings, read_yaml
    from ..config.schemas.properties import PropertiesConfig

    content = read_yaml(config_file) if config_file is not None else {}
    if names:
        content["properties"] = list(names)
    if config_file is not None and isinstance(content.get("own"), list):
        content["own"] = [str(config_file.parent / str(file)) for file in content["own"]]
    return parse_settings(PropertiesConfig, content, str(config_file or "properties"))


def _check_elements(structures: Mapping[str, Atoms], elements: tuple[str, ...]) -> None:
    for name, atoms in structures.items():
        unknown = sorted(set(atoms.symbols) - set(elements))
        if unknown:
            raise UserError(
                f"{name}: has {', '.join(unknown)}, but the elements of the potential are {', '.join(elements)}"
            )


def _write(results: Any, output: Path) -> None:
    from ..properties.plots import write_plots

    write_text(output / RESULTS, json.dumps(results, indent=2) + "\n")
    written = write_plots(results, output)
    say(f"Wrote {output / RESULTS} and {len(written)} plot{'s' if len(written) != 1 else ''}.")
