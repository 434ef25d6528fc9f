"""Commands that start or watch runs: run, train, validate, watch, init."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..config.errors import UserError
from .common import (
    check_new,
    check_writable,
    element_option,
    file_argument,
    keys_option,
    load_node,
    load_profile,
    load_run,
    output_option,
    profile_option,
    read_structures,
    say,
    trust_pickle_option,
    warn,
    warn_of_implausible_labels,
    write_text,
)
from .submitting import (
    config_arguments,
    load_config,
    prepare,
    submit_run,
    submit_to_daemon,
    teacher_option,
    without_reuse,
)
from .watching import watch as watch_run

if TYPE_CHECKING:
    from ase import Atoms

    from ..config.schemas.label_keys import LabelKeys
    from ..config.schemas.pipeline import PipelineConfig
    from ..pipelines.potentials import Potential


def _run(
    config_file: Path | None,
    elements: tuple[str, ...],
    structures: tuple[Path, ...],
    no_reuse: bool,
    validate: bool,
    teacher: str | None,
    output: Path | None,
    profile: str | None,
) -> None:
    config = load_config(config_file, elements, no_reuse, structures, profile, teacher=teacher)
    if output is not None:
        check_writable(output)
    sys.exit(watch_run(submit_run(config, profile, validate=validate), output))


_RUN_ARGUMENTS = [*config_arguments, teacher_option, output_option]

_RUN_HELP = """Make a potential for given elements or structures: generate, select, label, curate, train.

AiiDA's daemon executes the run and is started if necessary; this command submits the run and displays it. Ctrl-C ends the
display, not the run. Without an AiiDA profile, one that needs no services is created. `mlip-auto init` writes a CONFIG.yaml
with every setting.
"""


def _run_command(name: str, help_text: str, *, hidden: bool = False) -> click.Command:
    command = _run
    for decorate in reversed(_RUN_ARGUMENTS):
        command = decorate(command)
    return click.command(name, help=help_text, hidden=hidden)(command)


run = _run_command("run", _RUN_HELP)
run_cycle_02 = _run_command(
    "run-cycle-02", f"Another name of `run`, with the same options.\n\n{_RUN_HELP}", hidden=True
)


@click.command()
@click.argument("data", type=file_argument)
@click.option(
    "--test",
    type=file_argument,
    metavar="FILE",
    help="File with the test set; by default the structures of DATA whose `split` is `test`, or, if none has a `split`, a "
    "fraction `test_fraction` (0.1) of them.",
)
@click.option(
    "--config",
    "config_file",
    type=file_argument,
    metavar="TRAINING.yaml",
    help="Settings of the fit, the curation and the resources.",
)
@trust_pickle_option
@keys_option
@output_option
@profile_option
def train(
    data: Path,
    test: Path | None,
    config_file: Path | None,
    trust_pickle: bool,
    keys: LabelKeys | None,
    output: Path | None,
    profile: str | None,
) -> None:
    """Fit a potential to your own labelled structures: DATA is any file that `mlip-auto import` reads.

    TRAINING.yaml has the settings that `mlip-auto init` writes under `training`, and optionally the sections `curation` and
    `resources` (those of the trainer). As with `run`, AiiDA's daemon executes the fit.
    """
    from ..config.read import parse_settings, read_yaml
    from ..config.schemas.pipeline import PipelineConfig, TrainingRunConfig

    content = read_yaml(config_file) if config_file is not None else {}
    of_run = [
        name for name in PipelineConfig.model_fields if name in content and name not in TrainingRunConfig.model_fields
    ]
    if of_run:
        raise UserError(
            f"{config_file}: this looks like the config of `run` (it has {', '.join(of_run)}); `train` takes the keys of its "
            "section 'training', and optionally the sections 'curation' and 'resources'"
        )
    config = parse_settings(TrainingRunConfig, content, str(config_file or "settings"))
    if output is not None:
        check_writable(output)
    structures = _read_train_and_test(data, test, trust_pickle, keys)
    warn_of_implausible_labels(structures)
    prepare(profile)
    from ..pipelines.builders import build_training

    submitted = submit_to_daemon(lambda: build_training(structures, config, data.name))
    click.echo(f"Run {submitted.pk} submitted ({len(structures)} structures of {data.name}).")
    sys.exit(watch_run(submitted, output))


@click.command()
@click.argument("potential", metavar="POTENTIAL")
@click.option(
    "--config",
    "config_file",
    type=file_argument,
    metavar="CONFIG.yaml",
    help="Settings, such as the oracle, the limits and the resources.",
)
@click.option(
    "--structures",
    "structures",
    multiple=True,
    type=file_argument,
    metavar="FILE",
    help="File with phases to validate, in addition to structures with the role `phase`; may be repeated.",
)
@click.option(
    "--level",
    type=click.Choice(["quick", "standard", "full"]),
    help="Level of the validation, in place of the setting.",
)
@click.option("--no-reuse", is_flag=True, help="Compute all labels again, also those that this profile holds.")
@output_option
@profile_option
def validate(
    potential: str,
    config_file: Path | None,
    structures: tuple[Path, ...],
    level: str | None,
    no_reuse: bool,
    output: Path | None,
    profile: str | None,
) -> None:
    """Check a potential against its oracle: equations of state, elastic constants, defects, dimers, phonons, dynamics.

    POTENTIAL is a PK, UUID or label (also of a run), or a .yace file; if the .yaml and .asi files of the same name are in its
    folder, extrapolation grades are checked too. Sections (`oracle`, `validation`, ...) that are not in CONFIG.yaml (see
    `mlip-auto init`), and phases, are those of the run that made the potential. Phases replace the crystals that are guessed
    from the elements, and the energies of phases above the convex hull are compared too. If a crystal has no energy minimum or
    is unstable by the oracle, its quantities are not comparable and do not fail. Exit status: 0 if no check fails, 3 if one
    does.
    """
    from ..config.read import read_yaml

    content = read_yaml(config_file) if config_file is not None else None
    if output is not None:
        check_writable(output)
    prepare(profile)
    from ..config.schemas.structures import StructureSource
    from ..pipelines.builders import build_validation
    from ..pipelines.potentials import potential_from_file, stored_potential

    path = Path(potential)
    found = potential_from_file(path) if path.suffix == ".yace" else stored_potential(load_node(potential))
    config = _validation_config(found, content, str(config_file), level)
    if no_reuse:
        config = without_reuse(config)
    phases = [StructureSource(file=str(file.absolute()), role="phase") for file in structures]
    submitted = submit_to_daemon(lambda: build_validation(found, config, phases, warn))
    click.echo(f"Run {submitted.pk} submitted (validation of {potential} by {config.oracle.title}).")
    sys.exit(watch_run(submitted, output))


def _validation_config(
    potential: Potential, content: dict[str, Any] | None, origin: str, level: str | None
) -> PipelineConfig:
    """Return the settings of a config file, supplemented by those of the run that made the potential.

    :raises UserError: if neither has an oracle: the default oracle may be another method than that of the labels.
    """
    from ..config.read import parse_settings
    from ..config.schemas.pipeline import PipelineConfig
    from ..pipelines.potentials import config_of_run_behind

    made_by = config_of_run_behind(potential.file)
    given: dict[str, Any] = made_by.model_dump(mode="json") if made_by is not None else {}
    given = {**given, **(content or {})}
    if "oracle" not in given:
        raise UserError(
            "no run with an oracle made this potential, so its oracle is not known: set the key 'oracle' in a --config file "
            "(see `mlip-auto init`)"
        )
    given.setdefault("elements", list(potential.elements))
    if level is not None:
        given["validation"] = {**(given.get("validation") or {}), "level": level}
    return parse_settings(PipelineConfig, given, origin if content is not None else "the potential")


@click.command()
@click.argument("identifier", metavar="PK|UUID")
@output_option
@profile_option
def watch(identifier: str, output: Path | None, profile: str | None) -> None:
    """Display a run until it ends; with --output, write its results."""
    load_profile(profile)
    from ..host.daemon import ensure_daemon

    node = load_run(identifier)
    if output is not None:
        check_writable(output)
    if not node.is_terminated:
        ensure_daemon()
    sys.exit(watch_run(node, output))


@click.command()
@element_option
@click.option(
    "--oracle",
    metavar="NAME",
    help="Oracle: quantumespresso; a code: abinit, aims, cp2k, gpaw, orca, psi4, vasp; a foundation model: chgnet, mace_mp, "
    "mattersim, orb, sevennet; or another installed oracle or ASE calculator.",
)
@click.argument("config_file", default="CONFIG.yaml", type=click.Path(dir_okay=False, path_type=Path))
def init(elements: tuple[str, ...], oracle: str | None, config_file: Path) -> None:
    """Write an annotated CONFIG.yaml with every setting and its default.

    `mlip-auto setup check --config CONFIG.yaml` labels a structure with the oracle of this config.
    """
    from ..config.read import parse_settings
    from ..config.schemas.pipeline import PipelineConfig
    from ..config.template import annotated_yaml
    from ..oracle.example import example_config

    example = example_config(oracle, elements)
    config = parse_settings(PipelineConfig, example.content, "--element")
    check_new(config_file)
    write_text(config_file, annotated_yaml(config, example.notes))
    say(f"Wrote {config_file}. Edit it, then: mlip-auto run {config_file}")
    if example.needs:
        say(f"Its oracle is {example.needs}.")
        say(f"To label a structure with it: mlip-auto setup check --config {config_file}")


def _read_train_and_test(data: Path, test: Path | None, trust_pickle: bool, keys: LabelKeys | None) -> list[Atoms]:
    """Read training and test structures.

    :raises UserError: if a file cannot be read, or the test set has elements that are not in the training data.
    """
    if test is None:
        return read_structures(data, None, trust_pickle, keys)
    training = read_structures(data, "train", trust_pickle, keys)
    tests = read_structures(test, "test", trust_pickle, keys)
    known = {symbol for atoms in training for symbol in atoms.get_chemical_symbols()}
    missing = {symbol for atoms in tests for symbol in atoms.get_chemical_symbols()} - known
    if missing:
        raise UserError(f"{test}: has {', '.join(sorted(missing))}, which {data} does not contain")
    return [*training, *tests]
