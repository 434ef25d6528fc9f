"""Commands around runs: run, train, validate, watch, init."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..config.read import ConfigError, parse_settings, read_yaml
from .common import (
    check_writable,
    element_option,
    file_argument,
    load_node,
    load_profile,
    load_run,
    output_option,
    profile_option,
    read_structures,
    write_text,
)
from .submitting import config_arguments, load_config, submit_run, submit_to_daemon, without_reuse
from .watching import watch as watch_run

if TYPE_CHECKING:
    from ase import Atoms

    from ..config.schemas.pipeline import PipelineConfig
    from ..workflows.potentials import Potential


def _run(
    config_file: Path | None,
    elements: tuple[str, ...],
    no_reuse: bool,
    validate: bool,
    output: Path | None,
    profile: str | None,
) -> None:
    config = load_config(config_file, elements, no_reuse)
    if output is not None:
        check_writable(output)
    sys.exit(watch_run(submit_run(config, profile, validate=validate), output))


_RUN_ARGUMENTS = [*config_arguments, output_option]

_RUN_HELP = """Go from elements to a potential: generate, label, curate, train.

The run belongs to AiiDA's daemon, which is started if need be; this command submits it and watches. Ctrl-C ends the
watching, not the run. Without an AiiDA profile, one is made that needs no services. `mlip-auto init` writes a CONFIG.yaml
with every setting.
"""


def _run_command(name: str, help_text: str) -> click.Command:
    command = _run
    for decorate in reversed(_RUN_ARGUMENTS):
        command = decorate(command)
    return click.command(name, help=help_text)(command)


run = _run_command("run", _RUN_HELP)
run_cycle_02 = _run_command("run-cycle-02", f"The same as `run`, under its name in the specification.\n\n{_RUN_HELP}")


@click.command()
@click.argument("data", type=file_argument)
@click.option(
    "--test", type=file_argument, metavar="FILE", help="Structures to test on; else a part of DATA is kept out."
)
@click.option("--config", "config_file", type=file_argument, metavar="TRAINING.yaml", help="Settings of the fit.")
@click.option("--trust-pickle", is_flag=True, help="Read .pckl.gzip as it is, which runs any code in it.")
@output_option
@profile_option
def train(
    data: Path,
    test: Path | None,
    config_file: Path | None,
    trust_pickle: bool,
    output: Path | None,
    profile: str | None,
) -> None:
    """Fit a potential to your own labelled structures: DATA is extended XYZ, an ASE database, .traj or .pckl.gzip.

    TRAINING.yaml holds what `mlip-auto init` writes under `training`, and if need be the sections `curation` and
    `resources` (those of the trainer). As with `run`, the fit belongs to AiiDA's daemon.
    """
    from ..config.schemas.pipeline import TrainingRunConfig

    content = read_yaml(config_file) if config_file is not None else {}
    if isinstance(content.get("training"), dict):
        raise ConfigError(
            f"{config_file}: is for a whole run; a fit takes what stands there under 'training', without that key, and if "
            "need be the sections 'curation' and 'resources'"
        )
    config = parse_settings(TrainingRunConfig, content, str(config_file or "settings"))
    if output is not None:
        check_writable(output)
    structures = _read_sides(data, test, trust_pickle)
    load_profile(profile)
    from ..workflows.builder import build_training

    submitted = submit_to_daemon(lambda: build_training(structures, config, data.name))
    click.echo(f"Run {submitted.pk} submitted ({len(structures)} structures of {data.name}).")
    sys.exit(watch_run(submitted, output))


@click.command()
@click.argument("potential", metavar="POTENTIAL")
@click.option(
    "--config", "config_file", type=file_argument, metavar="CONFIG.yaml", help="Oracle, limits, resources, elements."
)
@click.option("--level", type=click.Choice(["quick", "standard", "full"]), help="How much is computed.")
@click.option("--no-reuse", is_flag=True, help="Compute labels that this profile already holds again.")
@output_option
@profile_option
def validate(
    potential: str,
    config_file: Path | None,
    level: str | None,
    no_reuse: bool,
    output: Path | None,
    profile: str | None,
) -> None:
    """Check a potential against its oracle: equations of state, elastic constants, defects, dimers, phonons, dynamics.

    POTENTIAL is a PK, UUID or label (of a run too), or a .yace file from elsewhere; with the .yaml and .asi files of the same
    name beside it, extrapolation grades are checked too. What CONFIG.yaml (see `mlip-auto init`) does not say is as in the
    run that made the potential. Exit status: 0 if all checks pass, 3 if not.
    """
    content = read_yaml(config_file) if config_file is not None else None
    if output is not None:
        check_writable(output)
    load_profile(profile)
    from ..workflows.builder import build_validation
    from ..workflows.potentials import potential_from_file, stored_potential

    path = Path(potential)
    found = potential_from_file(path) if path.suffix == ".yace" else stored_potential(load_node(potential))
    config = _validation_config(found, content, str(config_file), level)
    if no_reuse:
        config = without_reuse(config)
    submitted = submit_to_daemon(lambda: build_validation(found, config))
    click.echo(f"Run {submitted.pk} submitted (validation of {potential} by {config.oracle.title}).")
    sys.exit(watch_run(submitted, output))


def _validation_config(
    potential: Potential, content: dict[str, Any] | None, origin: str, level: str | None
) -> PipelineConfig:
    """Return what a config file says, and for the rest the settings of the run that made the potential.

    :raises ConfigError: if neither says by what oracle: that of the elements' default would be another method's verdict.
    """
    from ..config.schemas.pipeline import PipelineConfig
    from ..workflows.potentials import settings_of

    made_by = settings_of(potential.file)
    given: dict[str, Any] = made_by.model_dump(mode="json") if made_by is not None else {}
    given = {**given, **(content or {})}
    if "oracle" not in given:
        raise ConfigError(
            "no run of this profile made this potential, so its oracle is not known: name the reference method under the key "
            "'oracle' of a --config file (see `mlip-auto init`)"
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
    """Watch a run until it ends; write its results if asked to."""
    load_profile(profile)
    from ..daemon import ensure_daemon

    node = load_run(identifier)
    if output is not None:
        check_writable(output)
    if not node.is_terminated:
        ensure_daemon()
    sys.exit(watch_run(node, output))


@click.command()
@element_option
@click.argument("config_file", default="CONFIG.yaml", type=click.Path(dir_okay=False, path_type=Path))
def init(elements: tuple[str, ...], config_file: Path) -> None:
    """Write an annotated CONFIG.yaml with every setting and its default."""
    from ..config.schemas.oracle import EMT_ELEMENTS
    from ..config.schemas.pipeline import PipelineConfig
    from ..config.template import annotated_yaml

    wanted = list(elements) or ["Cu"]
    content: dict[str, Any] = {"elements": wanted}
    chosen = EMT_ELEMENTS.issuperset(wanted)
    if not chosen:
        content["oracle"] = {"type": "quantumespresso", "pseudo_family": "SSSP/1.3/PBEsol/efficiency"}
    config = parse_settings(PipelineConfig, content, "--element")
    if config_file.exists():
        raise ConfigError(f"{config_file} exists already; it is left as it is")
    write_text(config_file, annotated_yaml(config))
    click.echo(f"Wrote {config_file}. Edit it, then: mlip-auto run {config_file}")
    if not chosen:
        click.echo(
            "It asks for Quantum ESPRESSO (pip install 'aiida-mlip-autopipec[qe]'; aiida-pseudo install sssp); "
            "any ASE calculator will do: type: ase."
        )


def _read_sides(data: Path, test: Path | None, trust_pickle: bool) -> list[Atoms]:
    """Read labelled structures, those of the test file marked as such."""
    if test is None:
        return read_structures(data, None, trust_pickle)
    training, testing = read_structures(data, "train", trust_pickle), read_structures(test, "test", trust_pickle)
    known = {symbol for atoms in training for symbol in atoms.get_chemical_symbols()}
    strangers = {symbol for atoms in testing for symbol in atoms.get_chemical_symbols()} - known
    if strangers:
        raise ConfigError(f"{test}: has {', '.join(sorted(strangers))}, which {data} does not have to train on")
    return [*training, *testing]
