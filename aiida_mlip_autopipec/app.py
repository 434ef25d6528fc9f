"""The command `mlip-auto`: parse, call, print.

AiiDA is imported by the commands that need it, so that help and errors come at once.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import __version__
from .config.read import ConfigError, parse_settings, read_yaml

if TYPE_CHECKING:
    from aiida import orm
    from aiida.engine import ProcessBuilder
    from ase import Atoms

    from .config.schemas.pipeline import PipelineConfig
    from .dataset.split import Split
    from .workflows.progress import Stage

POLL_SECONDS = 1.0
LOCKED_SECONDS = 60.0
INTERRUPTED = 130
_MARKS = {"waiting": "·", "running": "▸", "paused": "‖", "done": "✓", "failed": "✗"}

profile_option = click.option("--profile", "-p", metavar="NAME", help="AiiDA profile; the default one if not given.")
element_option = click.option(
    "--element", "-e", "elements", multiple=True, metavar="EL", help="Element; may be repeated."
)
output_option = click.option(
    "--output", "-o", type=click.Path(file_okay=False, path_type=Path), metavar="DIR", help="Folder for the results."
)


class _Group(click.Group):
    """A group that prints the errors meant for users without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mlip-auto")
def main() -> None:
    """From elements and a reference method to a machine-learned interatomic potential, every step on record."""
    # AiiDA looks for `verdi`, which starts its daemon, when it is imported; it stands beside this Python, on no PATH perhaps.
    programs = str(Path(sys.executable).parent)
    if programs not in os.environ.get("PATH", "").split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join([programs, os.environ.get("PATH", "")])


def _run(
    config_file: Path | None, elements: tuple[str, ...], no_reuse: bool, output: Path | None, profile: str | None
) -> None:
    config = _load_config(config_file, elements, no_reuse)
    if output is not None:
        _check_writable(output)
    _load_profile(profile)
    from .workflows.builder import build_one_shot

    run = _submit(lambda: build_one_shot(config))
    click.echo(f"Run {run.pk} submitted ({'-'.join(config.elements)}, oracle {config.oracle.title}).")
    sys.exit(_watch(run, output))


_file_argument = click.Path(dir_okay=False, path_type=Path)


@main.command()
@click.argument("data", type=_file_argument)
@click.option(
    "--test", type=_file_argument, metavar="FILE", help="Structures to test on; else a part of DATA is kept out."
)
@click.option("--config", "config_file", type=_file_argument, metavar="TRAINING.yaml", help="Settings of the fit.")
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
    from .config.schemas.pipeline import TrainingRunConfig

    content = read_yaml(config_file) if config_file is not None else {}
    if isinstance(content.get("training"), dict):
        raise ConfigError(
            f"{config_file}: is for a whole run; a fit takes what stands there under 'training', without that key, and if "
            "need be the sections 'curation' and 'resources'"
        )
    config = parse_settings(TrainingRunConfig, content, str(config_file or "settings"))
    if output is not None:
        _check_writable(output)
    structures = _read_structures(data, test, trust_pickle)
    _load_profile(profile)
    from .workflows.builder import build_training

    run = _submit(lambda: build_training(structures, config, data.name))
    click.echo(f"Run {run.pk} submitted ({len(structures)} structures of {data.name}).")
    sys.exit(_watch(run, output))


_run_arguments = [
    click.argument(
        "config_file", required=False, type=click.Path(dir_okay=False, path_type=Path), metavar="[CONFIG.yaml]"
    ),
    element_option,
    click.option("--no-reuse", is_flag=True, help="Compute labels that this profile already holds again."),
    output_option,
    profile_option,
]


def _run_command(name: str, help_text: str) -> None:
    command = _run
    for decorate in reversed(_run_arguments):
        command = decorate(command)
    main.command(name, help=help_text)(command)


_RUN_HELP = """Go from elements to a potential: generate, label, curate, train.

The run belongs to AiiDA's daemon, which is started if need be; this command submits it and watches. Ctrl-C ends the
watching, not the run. Without an AiiDA profile, one is made that needs no services. `mlip-auto init` writes a CONFIG.yaml
with every setting.
"""
_run_command("run", _RUN_HELP)
_run_command("run-cycle-02", f"The same as `run`, under its name in the specification.\n\n{_RUN_HELP}")


@main.command()
@click.argument("identifier", metavar="PK|UUID")
@output_option
@profile_option
def watch(identifier: str, output: Path | None, profile: str | None) -> None:
    """Watch a run until it ends; write its results if asked to."""
    _load_profile(profile)
    from .environment import ensure_daemon

    run = _load_run(identifier)
    if output is not None:
        _check_writable(output)
    if not run.is_terminated:
        ensure_daemon()
    sys.exit(_watch(run, output))


@main.command()
@click.argument("identifier", metavar="[PK|UUID]", required=False)
@profile_option
def status(identifier: str | None, profile: str | None) -> None:
    """Show the stages of one run, or the newest runs."""
    _load_profile(profile, make=False)
    from .workflows.progress import find_runs, stages, state_of

    if identifier is not None:
        run = _load_run(identifier)
        click.echo(f"Run {run.pk} ({run.label}): {state_of(run)}")
        for stage in stages(run):
            click.echo(_stage_line(stage))
        _list_failures(run)
        _explain_failure(run)
        return
    runs = find_runs(limit=10)
    if not runs:
        click.echo("No runs yet: `mlip-auto run --element Cu` makes one.")
    for run in runs:
        current = [stage for stage in stages(run) if stage.state != "waiting"]
        at = f"{current[-1].name}: {current[-1].detail}" if current else ""
        click.echo(f"{run.pk:>8}  {run.ctime:%Y-%m-%d %H:%M}  {run.label:<20}  {state_of(run):<8}  {at}")


@main.command()
@element_option
@click.argument("config_file", default="CONFIG.yaml", type=click.Path(dir_okay=False, path_type=Path))
def init(elements: tuple[str, ...], config_file: Path) -> None:
    """Write an annotated CONFIG.yaml with every setting and its default."""
    from .config.schemas.oracle import EMT_ELEMENTS
    from .config.schemas.pipeline import PipelineConfig
    from .config.template import annotated_yaml

    wanted = list(elements) or ["Cu"]
    content: dict[str, Any] = {"elements": wanted}
    chosen = EMT_ELEMENTS.issuperset(wanted)
    if not chosen:
        content["oracle"] = {"type": "quantumespresso", "pseudo_family": "SSSP/1.3/PBEsol/efficiency"}
    config = parse_settings(PipelineConfig, content, "--element")
    if config_file.exists():
        raise ConfigError(f"{config_file} exists already; it is left as it is")
    beside = config_file.with_name(f".{config_file.name}.part")
    try:
        beside.write_text(annotated_yaml(config), encoding="utf-8")
        beside.replace(config_file)
    except OSError as error:
        raise ConfigError(f"{config_file} cannot be written: {error.strerror}") from error
    finally:
        beside.unlink(missing_ok=True)
    click.echo(f"Wrote {config_file}. Edit it, then: mlip-auto run {config_file}")
    if not chosen:
        click.echo(
            "It asks for Quantum ESPRESSO (pip install 'aiida-mlip-autopipec[qe]'; aiida-pseudo install sssp); "
            "any ASE calculator will do: type: ase."
        )


@main.command()
@click.argument("identifier", metavar="PK|UUID")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@profile_option
def provenance(identifier: str, as_json: bool, profile: str | None) -> None:
    """Show what stands behind a potential, or a run's: processes, structures, codes, computers, from the generator on."""
    _load_profile(profile, make=False)
    from .provenance import trace
    from .workflows.progress import is_run

    node = _load_node(identifier)
    if is_run(node) and "potential" in node.outputs:
        node = node.outputs.potential
    origin = trace(node)
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
    click.echo(f"structures: {origin.n_structures_generated} generated, in {len(origin.structures)} trajectories:")
    click.echo(f"  {', '.join(sorted(set(origin.structures.values())))}")
    click.echo(f"codes: {', '.join(origin.codes) or 'none'}")
    click.echo(f"computers: {', '.join(origin.computers) or 'none'}")


def _load_config(config_file: Path | None, elements: Sequence[str], no_reuse: bool) -> PipelineConfig:
    from .config.schemas.pipeline import PipelineConfig

    if config_file is None and not elements:
        raise click.UsageError("name a CONFIG.yaml or an --element, e.g. mlip-auto run --element Cu --output cu")
    content = read_yaml(config_file) if config_file is not None else {}
    if elements:
        content["elements"] = list(elements)
    config = parse_settings(PipelineConfig, content, str(config_file or "--element"))
    if not no_reuse:
        return config
    return config.model_copy(update={"oracle": config.oracle.model_copy(update={"reuse": False})})


def _read_structures(data: Path, test: Path | None, trust_pickle: bool) -> list[Atoms]:
    """Read labelled structures, those of the test file marked as such."""
    from .dataset.intake import intake
    from .trainer.database import DatabaseManager

    def read(path: Path, split: Split | None) -> list[Atoms]:
        return intake(DatabaseManager().load_dataset(path, trust_pickle=trust_pickle), str(path), split)

    try:
        if test is None:
            return read(data, None)
        training, testing = read(data, "train"), read(test, "test")
    except (ValueError, OSError, ImportError) as error:
        raise ConfigError(str(error)) from error
    known = {symbol for atoms in training for symbol in atoms.get_chemical_symbols()}
    strangers = {symbol for atoms in testing for symbol in atoms.get_chemical_symbols()} - known
    if strangers:
        raise ConfigError(f"{test}: has {', '.join(sorted(strangers))}, which {data} does not have to train on")
    return [*training, *testing]


def _check_writable(directory: Path) -> None:
    """Find out before hours of work whether the results can be written."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        probe = directory / ".mlip-auto"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ConfigError(f"--output {directory}: cannot be written to: {error.strerror}") from error


def _load_profile(name: str | None, make: bool = True) -> None:
    from .environment import ensure_profile

    profile, made = ensure_profile(name, make=make)
    if made:
        click.echo(f"Made the AiiDA profile '{profile.name}' (SQLite, no services needed).")


def _submit(build: Callable[[], ProcessBuilder]) -> orm.WorkChainNode:
    """Give a run to the daemon; while another process writes to an embedded database, wait and try again."""
    from aiida.engine import submit
    from aiida.manage import get_manager
    from sqlalchemy.exc import OperationalError

    from .environment import ensure_daemon

    ensure_daemon()
    end = time.monotonic() + LOCKED_SECONDS
    while True:
        try:
            return submit(build())
        except OperationalError as error:
            if "database is locked" not in str(error):
                raise
            if time.monotonic() > end:
                raise ConfigError(
                    f"the database has been locked by other processes for {LOCKED_SECONDS:.0f} s: try again later, or "
                    "move to a profile on PostgreSQL (verdi presto --use-postgres)"
                ) from error
            get_manager().get_profile_storage().get_session().rollback()
            time.sleep(random.uniform(0.2, 1.0))


def _load_node(identifier: str) -> orm.Node:
    from aiida.common.exceptions import MultipleObjectsError, NotExistent
    from aiida.orm import load_node

    try:
        return load_node(identifier)
    except (NotExistent, MultipleObjectsError, ValueError) as error:
        raise ConfigError(f"'{identifier}' names no single node of this profile: {error}") from error


def _load_run(identifier: str) -> orm.WorkChainNode:
    from .workflows.progress import is_run

    node = _load_node(identifier)
    if not is_run(node):
        raise ConfigError(f"{identifier} is a {type(node).__name__}, not a run; `mlip-auto status` lists the runs")
    return node


def _watch(run: orm.WorkChainNode, output: Path | None) -> int:
    """Print what changes until the run ends, then its errors; return the exit status of the command."""
    try:
        _follow(run)
    except KeyboardInterrupt:
        back = f"mlip-auto watch {run.pk}" + (f" --output {output}" if output is not None else "")
        click.echo(f"\nThe run goes on without this command. To come back: {back}, or mlip-auto status {run.pk}")
        return INTERRUPTED
    if not run.is_finished_ok:
        _explain_failure(run)
        return 1
    _print_errors(run.outputs.metrics.get_dict())
    _list_failures(run)
    click.echo(f"Potential: node {run.outputs.potential.pk} (mlip-auto provenance {run.outputs.potential.pk})")
    if output is None:
        click.echo(f"Its files: mlip-auto watch {run.pk} --output DIR")
        return 0
    from .workflows.results import write_results

    try:
        for path in write_results(run, output):
            click.echo(f"  {path}")
    except OSError as error:
        raise ConfigError(
            f"the results cannot be written to {output}: {error.strerror or error}. Nothing is lost: "
            f"mlip-auto watch {run.pk} --output DIR writes them"
        ) from error
    return 0


def _follow(run: orm.WorkChainNode) -> None:
    from .workflows.progress import stages

    start = time.monotonic()
    shown: dict[str, Stage] = {}
    click.echo(
        f"Ctrl-C ends this display, not the run; `mlip-auto status` and `mlip-auto watch {run.pk}` come back to it."
    )
    while True:
        ended = run.is_terminated
        for stage in stages(run):
            if stage.state != "waiting" and shown.get(stage.name) != stage:
                click.echo(f"{time.monotonic() - start:7.1f} s {_stage_line(stage)}")
                shown[stage.name] = stage
        if ended:
            return
        time.sleep(POLL_SECONDS)


def _stage_line(stage: Stage) -> str:
    return f"  {_MARKS[stage.state]} {stage.name:<10} {stage.detail}".rstrip()


def _explain_failure(run: orm.WorkChainNode) -> None:
    if not run.is_terminated or run.is_finished_ok:
        return
    reason = run.exit_message or run.exception or str(run.process_state.value)
    click.echo(f"Run {run.pk} failed: {reason}", err=True)
    click.echo(f"Its processes: verdi process status {run.pk}; what they said: verdi process report {run.pk}", err=True)


def _list_failures(run: orm.WorkChainNode) -> None:
    """Print which structures have no label, by reason."""
    from .workflows.progress import failures

    by_reason: dict[str, list[dict[str, Any]]] = {}
    for failure in failures(run):
        by_reason.setdefault(f"{failure['kind']}: {failure['reason']}", []).append(failure)
    for reason, failed in by_reason.items():
        names = ", ".join(f"{failure['label']}[{failure['step']}]" for failure in failed[:5])
        more = f" and {len(failed) - 5} more" if len(failed) > 5 else ""
        click.echo(f"No label: {names}{more}: {reason.splitlines()[0]} (calculation {failed[0]['calculation']})")


def _print_errors(metrics: dict[str, Any]) -> None:
    click.echo()
    click.echo(f"{'':8}{'energy (meV/atom)':>22}{'force (eV/Å)':>22}")
    click.echo(f"{'':8}{'MAE':>11}{'RMSE':>11}{'MAE':>11}{'RMSE':>11}{'structures':>12}{'atoms':>8}")
    for name in ("train", "test"):
        errors = metrics.get(name)
        if not errors:
            continue
        click.echo(
            f"{name:8}{errors['energy_mae_meV_per_atom']:>11.2f}{errors['energy_rmse_meV_per_atom']:>11.2f}"
            f"{errors['force_mae_eV_per_A']:>11.4f}{errors['force_rmse_eV_per_A']:>11.4f}"
            f"{errors['n_structures']:>12}{errors['n_atoms']:>8}"
        )
    if not metrics.get("test"):
        click.echo("No structure was kept to test on: these errors say little of others.")
    if metrics.get("test_overlap"):
        click.echo(
            f"{metrics['test_overlap']} structures to test on are also among those to train on: too good to be true."
        )
    energies = ", ".join(f"{element} {energy:.6g} eV" for element, energy in metrics["reference_energies_eV"].items())
    source = metrics["reference_energies_source"].replace("_", " ")
    click.echo(f"The potential counts energies from these of free atoms: {energies} ({source}).")
    click.echo()
