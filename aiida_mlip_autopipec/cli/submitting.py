"""Functions of the commands that start a run: settings, and submission to the daemon."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..config.errors import UserError
from .common import element_option, file_argument, load_profile, profile_option, warn

if TYPE_CHECKING:
    from aiida import orm
    from aiida.engine import ProcessBuilder

    from ..config.schemas.pipeline import PipelineConfig

structures_option = click.option(
    "--structures",
    "structures",
    multiple=True,
    type=file_argument,
    metavar="FILE",
    help="File with structures to start from: CIF, POSCAR, extended XYZ, .traj, ASE database, pw.x, VASP; may be repeated.",
)

teacher_option = click.option(
    "--teacher",
    metavar="NAME",
    help="Cheap method that finds the structures to label, such as a foundation model: chgnet, mace_mp, mattersim, orb, "
    "sevennet; or another ASE calculator, by name or import path.",
)

config_arguments = [
    click.argument(
        "config_file", required=False, type=click.Path(dir_okay=False, path_type=Path), metavar="[CONFIG.yaml]"
    ),
    element_option,
    structures_option,
    click.option("--no-reuse", is_flag=True, help="Compute all labels again, also those that this profile holds."),
    click.option(
        "--validate",
        is_flag=True,
        help="Validate the potential against the oracle; exit status 3, also of `watch`, if a check fails.",
    ),
    profile_option,
]


_STRUCTURE_FILES = re.compile(
    r"(POSCAR|CONTCAR|OUTCAR).*|.*\.(extxyz|xyz|cif|db|traj|vasp|pwi|pwo|out|xml|gzip)", re.IGNORECASE
)
"""Names of files with structures, which are not settings."""


def check_input(command: str, *given: object) -> None:
    """Check that a command is given something from which a run can start, e.g. a config, elements or structures.

    :raises click.UsageError: if not, with `command` in its example.
    """
    if not any(given):
        raise click.UsageError(
            f"name a CONFIG.yaml, an --element or --structures, e.g. mlip-auto {command} --element Cu --output cu"
        )


def read_config(config_file: Path | None, *, may_be_empty: bool) -> dict[str, Any]:
    """Return the settings in a CONFIG.yaml, none without a file.

    :param may_be_empty: whether other arguments name the elements.
    :raises UserError: if it cannot be read, holds structures, or is empty and must not be.
    """
    from ..config.read import read_yaml

    if config_file is None:
        return {}
    if config_file.is_file() and _STRUCTURE_FILES.fullmatch(config_file.name):
        raise UserError(
            f"{config_file}: is a structure file, not a CONFIG.yaml. To start from its structures: --structures {config_file}; "
            f"to fit a potential to its labels: mlip-auto train {config_file}"
        )
    content = read_yaml(config_file)
    if not content and not may_be_empty:
        raise UserError(f"{config_file}: the file is empty; `mlip-auto init NEW.yaml` writes one with every setting")
    return content


def origin_of(config_file: Path | None, elements: Sequence[str]) -> str:
    """Return where the settings of a run come from, for messages."""
    return str(config_file or ("--element" if elements else "--structures"))


def complete_structures(
    content: dict[str, Any], files: Sequence[Path], config_file: Path | None, profile: str | None
) -> dict[str, Any]:
    """Return settings with the structures of `--structures` and, if they name none, the elements of all structures.

    :raises UserError: if a structure cannot be used.
    """
    if not files and not content.get("structures"):
        return content
    # Structures may be nodes.
    load_profile(profile)
    from ..pipelines.structures import with_structures

    return with_structures(content, files, None if config_file is None else config_file.parent)


def load_config(
    config_file: Path | None,
    elements: Sequence[str],
    no_reuse: bool,
    structures: Sequence[Path] = (),
    profile: str | None = None,
    *,
    oracle: dict[str, Any] | None = None,
    teacher: str | None = None,
) -> PipelineConfig:
    """Return the settings of a run from elements or structures to a potential.

    :param oracle: settings of the oracle, given by --teacher of `distill`; then the file must have none.
    :param teacher: calculator of the teacher, given by --teacher; then the file must name none.
    :raises UserError: if they are not valid.
    """
    from ..config.read import parse_settings
    from ..config.schemas.pipeline import PipelineConfig

    check_input("run", config_file, elements, structures)
    content = read_config(config_file, may_be_empty=bool(elements or structures))
    if elements:
        content["elements"] = list(elements)
    if oracle is not None:
        if "oracle" in content:
            raise UserError(
                f"{config_file}: the oracle of a distillation is its --teacher; remove the section 'oracle'"
            )
        content["oracle"] = oracle
    content = with_teacher(content, teacher, config_file)
    content = complete_structures(content, structures, config_file, profile)
    config = parse_settings(PipelineConfig, content, origin_of(config_file, elements))
    return without_reuse(config) if no_reuse else config


def with_teacher(content: dict[str, Any], teacher: str | None, config_file: Path | None) -> dict[str, Any]:
    """Return settings with the calculator that --teacher names.

    :raises UserError: if they name a teacher already.
    """
    if teacher is None:
        return content
    from ..config.schemas.oracle import ase_oracle

    section = content.get("teacher") or {}
    if not isinstance(section, dict) or "oracle" in section:
        raise UserError(f"{config_file}: names a teacher, and so does --teacher; remove one of them")
    return {**content, "teacher": {**section, "oracle": ase_oracle(teacher)}}


def without_reuse(config: PipelineConfig) -> PipelineConfig:
    """Return settings with which existing labels are computed again, also those of the teacher."""
    update: dict[str, Any] = {"oracle": config.oracle.model_copy(update={"reuse": False})}
    if config.teacher is not None:
        teacher = config.teacher.oracle.model_copy(update={"reuse": False})
        update["teacher"] = config.teacher.model_copy(update={"oracle": teacher})
    return config.model_copy(update=update)


def prepare(profile: str | None) -> None:
    """Load the profile of a new run, and print that the run is being prepared, since this takes seconds."""
    click.echo("Preparing the run", err=True)
    load_profile(profile)


def submit_run(config: PipelineConfig, profile: str | None, *, validate: bool) -> orm.WorkChainNode:
    """Load the profile and submit a run from elements to a potential to its daemon.

    :param validate: whether to validate the potential.
    """
    prepare(profile)
    from ..pipelines.builders import build_one_shot

    run = submit_to_daemon(lambda: build_one_shot(config, validate=validate, warn=warn))
    click.echo(f"Run {run.pk} submitted ({'-'.join(sorted(config.elements))}, oracle {config.oracle.title}).")
    return run


def submit_to_daemon(build: Callable[[], ProcessBuilder]) -> orm.WorkChainNode:
    """Submit a process to the daemon, and return its node."""
    from aiida.engine import submit

    from ..host.daemon import ensure_daemon, is_outdated

    if is_outdated(ensure_daemon()):
        click.echo("The daemon was started before this package was changed; restart it: verdi daemon restart")
    return submit(build())
