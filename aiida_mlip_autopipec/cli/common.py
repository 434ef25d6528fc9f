"""What several commands need: options, profiles, nodes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..config.read import ConfigError

if TYPE_CHECKING:
    from aiida import orm
    from ase import Atoms

    from ..dataset.split import Split

profile_option = click.option("--profile", "-p", metavar="NAME", help="AiiDA profile; the default one if not given.")
element_option = click.option(
    "--element", "-e", "elements", multiple=True, metavar="EL", help="Element; may be repeated."
)
output_option = click.option(
    "--output", "-o", type=click.Path(file_okay=False, path_type=Path), metavar="DIR", help="Folder for the results."
)
file_argument = click.Path(dir_okay=False, path_type=Path)


def check_writable(directory: Path) -> None:
    """Find out before hours of work whether the results can be written."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        probe = directory / ".mlip-auto"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ConfigError(f"--output {directory}: cannot be written to: {error.strerror}") from error


def write_text(path: Path, text: str) -> None:
    """Write a text file that is whole or not there.

    :raises ConfigError: if it cannot be written.
    """
    beside = path.with_name(f".{path.name}.part")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        beside.unlink(missing_ok=True)


def load_profile(name: str | None, make: bool = True) -> None:
    """Load a profile, making one if there is none and it may be made."""
    from ..environment import ensure_profile

    profile, made = ensure_profile(name, make=make)
    if made:
        click.echo(f"Made the AiiDA profile '{profile.name}' (SQLite, no services needed).")


def load_node(identifier: str) -> orm.Node:
    """Return a node by PK or UUID.

    :raises ConfigError: if there is no single one.
    """
    from aiida.common.exceptions import MultipleObjectsError, NotExistent
    from aiida.orm import load_node

    try:
        return load_node(identifier)
    except (NotExistent, MultipleObjectsError, ValueError) as error:
        raise ConfigError(f"'{identifier}' names no single node of this profile: {error}") from error


def load_run(identifier: str) -> orm.WorkChainNode:
    """Return a run by PK or UUID.

    :raises ConfigError: if it is none.
    """
    from ..workflows.progress import is_run

    node = load_node(identifier)
    if not is_run(node):
        raise ConfigError(f"{identifier} is a {type(node).__name__}, not a run; `mlip-auto status` lists the runs")
    return node


def read_structures(path: Path, split: Split | None, trust_pickle: bool) -> list[Atoms]:
    """Read labelled structures, marked with the side of the split they stand on.

    :raises ConfigError: if the file cannot be read or a structure has no labels, naming it.
    """
    from ..dataset.intake import intake
    from ..trainer.database import DatabaseManager

    try:
        return intake(DatabaseManager().load_dataset(path, trust_pickle=trust_pickle), str(path), split)
    except (ValueError, OSError, ImportError) as error:
        raise ConfigError(str(error)) from error
