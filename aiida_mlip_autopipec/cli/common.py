"""Options and functions of several commands: profiles, nodes, files."""

from __future__ import annotations

import gc
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..config.errors import UserError, safe_message, shown
from ..config.identifiers import LARGEST_PK, is_beyond_any_pk

if TYPE_CHECKING:
    from aiida import orm
    from ase import Atoms

    from ..config.schemas.label_keys import LabelKeys
    from ..dataset.split import Split

MAX_NAME_LENGTH = 255
"""Maximum length of the name of a dataset."""

profile_option = click.option("--profile", "-p", metavar="NAME", help="AiiDA profile; by default AiiDA's default.")
element_option = click.option(
    "--element", "-e", "elements", multiple=True, metavar="EL", help="Element, e.g. Cu; may be repeated."
)
output_option = click.option(
    "--output",
    "-o",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder for the results; files of earlier results in it are replaced.",
)
trust_pickle_option = click.option(
    "--trust-pickle", is_flag=True, help="Unpickle .pckl.gzip files without restrictions, which runs any code in them."
)
LOCKED_SECONDS = 60.0
"""Maximum time (s) that a command waits for a locked database or for disk space."""

file_argument = click.Path(dir_okay=False, path_type=Path)


def _parse_keys(_context: click.Context, _option: click.Parameter, text: str | None) -> LabelKeys | None:
    from ..config.schemas.label_keys import LabelKeys

    try:
        return None if text is None else LabelKeys.parse(text)
    except ValueError as error:
        raise UserError(str(error)) from error


keys_option = click.option(
    "--keys",
    callback=_parse_keys,
    metavar="energy=NAME,forces=NAME,...",
    help="Names of the labels in the files, if they are unusual or ambiguous: energy, forces, "
    "stress (eV/Å^3, ASE's sign) or virial (eV), e.g. energy=REF_energy,forces=REF_forces,virial=REF_virial.",
)


def check_writable(directory: Path) -> None:
    """Check that the folder of the results is writable, before the run starts.

    :raises UserError: if it is not.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise UserError(f"--output {directory}: cannot be written to: {error.strerror}") from error


def check_target(path: Path) -> None:
    """Check that a path is free or a regular file.

    Links are rejected, since another user may have placed them.

    :raises UserError: if it is a folder, a device or a link.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be written: {getattr(error, 'strerror', None) or error}") from error
    if stat.S_ISLNK(mode):
        raise UserError(
            f"{path} cannot be written: it is a link, and links are not followed; name a file, or remove the link"
        )
    if not stat.S_ISREG(mode):
        raise UserError(f"{path} cannot be written: it is not a regular file")


def check_new(path: Path) -> None:
    """Check that a path is free, for a command that replaces no file.

    :raises UserError: if it is not.
    """
    check_target(path)
    if path.exists():
        raise UserError(f"{path} exists already and is not changed: give another name, or remove it")


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically.

    :raises UserError: if it cannot be written.
    """
    from ..dataset.files.writing import replacing

    check_target(path)
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}") from error


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically.

    :raises UserError: if it cannot be written.
    """
    write_bytes(path, text.encode())


def say(text: str) -> None:
    """Print a line with text from the user or from files, with control characters escaped."""
    click.echo(safe_message(text))


def table(rows: Sequence[Sequence[str]], headers: Sequence[str] = (), align: Sequence[str] | None = None) -> str:
    """Return a table of text.

    :param align: `left` or `right` for each column; by default all are left.
    """
    from tabulate import tabulate

    # Names may look like numbers.
    return str(tabulate(rows, headers, tablefmt="plain", disable_numparse=True, colalign=align if rows else None))


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Import AiiDA without garbage collection: the objects it creates are never freed, and collecting them takes 0.25 s."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def load_profile(name: str | None, make: bool = True) -> None:
    """Load a profile; if there is none and `make` is true, create it."""
    with _without_garbage_collection():
        from ..host.profile import ensure_profile
        from ..host.workarounds import speed, waiting_database

        speed.install()
        waiting_database.install(
            LOCKED_SECONDS,
            lambda reason: click.echo(f"{reason}: waiting for at most {LOCKED_SECONDS:.0f} s.".capitalize(), err=True),
        )
        profile, made = ensure_profile(name, make=make)
    if made:
        click.echo(f"Created the AiiDA profile '{profile.name}' (SQLite, no services needed).")


def check_identifier(identifier: str) -> None:
    """Check that an identifier is not a number larger than all PKs.

    :raises UserError: if it is.
    """
    if is_beyond_any_pk(identifier):
        raise UserError(f"{shown(identifier)} is not a PK: the largest possible one is {LARGEST_PK}")


def check_name(name: str) -> None:
    """Check that the name of a dataset is printable and not too long.

    :raises UserError: if it is not.
    """
    if not name.strip() or not name.isprintable() or len(name) > MAX_NAME_LENGTH:
        raise UserError(f"--label {shown(name)}: a name has 1 to {MAX_NAME_LENGTH} printable characters")


def load_node(identifier: str) -> orm.Node:
    """Return a node by PK or UUID.

    :raises UserError: if there is no such node, or the identifier is ambiguous.
    """
    from aiida.common.exceptions import MultipleObjectsError, NotExistent
    from aiida.orm import load_node

    check_identifier(identifier)
    try:
        return load_node(identifier)
    except (NotExistent, MultipleObjectsError, ValueError) as error:
        raise UserError(
            f"{shown(identifier)} does not identify a node of this profile: {error}; `mlip-auto status` lists the runs, "
            "`mlip-auto list` the datasets and potentials"
        ) from error


def load_run(identifier: str) -> orm.WorkChainNode:
    """Return a run by PK or UUID.

    :raises UserError: if it is not a run.
    """
    from ..runs.progress import is_run

    node = load_node(identifier)
    if not is_run(node):
        raise UserError(f"{shown(identifier)} is a {type(node).__name__}, not a run; `mlip-auto status` lists the runs")
    return node


def warn(line: str) -> None:
    """Print a warning to standard error."""
    click.echo(f"Warning: {line}", err=True)


def warn_of_implausible_labels(structures: Sequence[Atoms]) -> None:
    """Print warnings about implausible labels."""
    from ..dataset.plausibility import find_issues

    for issue in find_issues(structures):
        warn(str(issue))


def read_structures(path: Path, split: Split | None, trust_pickle: bool, keys: LabelKeys | None) -> list[Atoms]:
    """Read labelled structures with their split; print what was omitted and why.

    :param split: `train` or `test` for all structures; None to keep the split undecided.
    :param keys: names of the labels in the file; by default all usual names are tried.
    :raises UserError: if the file cannot be read or a structure has no labels, naming it.
    """
    from ..dataset.files import read_file
    from ..dataset.intake import intake

    try:
        read = read_file(path, keys, trust_pickle=trust_pickle, require_labels=True)
        structures = intake(read.frames, str(path), split, warn)
    except (ValueError, OSError, ImportError) as error:
        raise UserError(str(error)) from error
    for atoms, number in zip(structures, read.numbers(), strict=True):
        atoms.info["location"] = f"{path.name}, frame {number}"
    for message in read.messages():
        warn(f"{path}: {message}")
    return structures


def read_crystals(path: Path) -> Mapping[str, Atoms]:
    """Return the structures of a file, by name.

    :raises UserError: if it cannot be read, or has disordered sites or overlapping atoms.
    """
    from ..dataset.files.geometry import read_geometries
    from ..dataset.given_structures import overlap

    try:
        frames = read_geometries(path)
    except ValueError as error:
        raise UserError(str(error)) from error
    names: dict[str, Atoms] = {}
    for number, atoms in enumerate(frames):
        if (found := overlap(atoms)) is not None:
            raise UserError(f"{path}, frame {number}: {found}")
        name = str(atoms.info.get("name") or atoms.info.get("family") or atoms.get_chemical_formula())
        names[name if name not in names else f"{name} {number}"] = atoms
    return names
