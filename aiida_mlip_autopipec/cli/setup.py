"""Commands that set up profiles, computers and codes, and check them."""

from __future__ import annotations

from pathlib import Path

import click

from ..config.errors import UserError
from .common import file_argument, load_profile, profile_option

_MARKS = {"ok": "✓", "warning": "!", "failed": "✗", "skipped": "·"}


@click.group()
def setup() -> None:
    """Set up a profile, computers and codes for runs on other machines, and check them."""


@setup.command()
@click.argument("file", type=file_argument, required=False, metavar="[PROFILE.yaml]")
@click.option("--name", metavar="NAME", help="Name of the profile.")
def profile(file: Path | None, name: str | None) -> None:
    """Create an AiiDA profile: embedded, without services, or with PostgreSQL and RabbitMQ as set in PROFILE.yaml.

    \b
    Example of a PROFILE.yaml:
    name: production
    postgres: {host: localhost, port: 5432, user: aiida, database: aiida}
    rabbitmq: {host: 127.0.0.1, port: 5672, user: guest}

    Passwords are prompted for. The services are tested before anything is written; an existing profile is not changed.
    """
    from ..config.read import parse_settings, read_yaml
    from ..config.schemas.setup import ProfileConfig
    from ..setup.profile import check_secrets, setup_profile

    content = read_yaml(file) if file is not None else {}
    if name is not None:
        content["name"] = name
    settings = parse_settings(ProfileConfig, content, str(file or "--name"))
    if file is not None:
        check_secrets(settings, file)
    created = setup_profile(settings, lambda service: str(click.prompt(f"Password of {service}", hide_input=True)))
    services = [created.storage_backend, created.process_control_backend]
    click.echo(f"Created the AiiDA profile '{created.name}' ({', '.join(map(str, services))}).")
    click.echo("Next: mlip-auto setup computer FILE.yaml, or mlip-auto setup check")


@setup.command()
@click.argument("file", type=file_argument, metavar="COMPUTER.yaml")
@click.option("--overwrite", is_flag=True, help="Change the existing computer with this label.")
@profile_option
def computer(file: Path, overwrite: bool, profile: str | None) -> None:
    """Create a computer that is reached by SSH and runs jobs by SLURM or another scheduler.

    \b
    Example of a COMPUTER.yaml:
    label: hpc
    host: login.hpc.example.org
    user: me
    key: ~/.ssh/id_ed25519
    work_folder: /scratch/{username}/mlip-auto
    queue: normal
    account: my-project
    environment: |
      module load python
      source ~/pace/bin/activate

    An entry is added to ~/.ssh/config if `ssh hpc` does not reach the computer yet; a conflicting entry is not changed.
    """
    from ..config.read import parse_settings, read_yaml
    from ..config.schemas.setup import ComputerConfig

    settings = parse_settings(ComputerConfig, read_yaml(file), str(file))
    load_profile(profile)
    from ..setup.computer import setup_computer
    from ..setup.ssh import config_file

    made, added = setup_computer(settings, overwrite=overwrite)
    if added:
        click.echo(f"Added the entry '{made.label}' to {config_file()}.")
    click.echo(f"Computer '{made.label}' ({made.hostname}, {made.scheduler_type.removeprefix('core.')}) is set up.")
    click.echo(f"Next: ssh {made.label} (once, to accept its host key), then mlip-auto setup check {made.label}")


@setup.command()
@click.argument("computer", required=False, metavar="[COMPUTER]")
@click.option("--pw", metavar="PATH", help="Path of pw.x on COMPUTER.")
@click.option("--label", default=None, metavar="NAME", help="Name of the code of pw.x.")
@click.option("--environment", default="", metavar="LINES", help="Shell lines before pw.x, e.g. 'module load qe'.")
@profile_option
def codes(computer: str | None, pw: str | None, label: str | None, environment: str, profile: str | None) -> None:
    """Store AiiDA codes: the programs of this package, which are uploaded with each job, and, with --pw, pw.x on COMPUTER.

    \b
    mlip-auto setup codes                       the programs of this package, for any computer
    mlip-auto setup codes COMPUTER --pw PATH    and pw.x of that computer
    """
    from ..config.read import parse_settings
    from ..config.schemas.setup import PwCodeConfig

    if computer is None and pw is not None:
        raise click.UsageError("--pw needs the computer: mlip-auto setup codes COMPUTER --pw PATH")
    given = {"computer": computer, "executable": pw, "label": label, "environment": environment}
    content = {key: value for key, value in given.items() if value is not None}
    settings = parse_settings(PwCodeConfig, content, "options") if pw is not None else None
    load_profile(profile)
    from ..host.computers import ensure_computer
    from ..setup.codes import setup_portable_codes, setup_pw_code

    if computer is not None:
        ensure_computer(computer)
    for code in setup_portable_codes():
        click.echo(f"{code.label} (node {code.pk}): uploaded with each job.")
    if settings is not None:
        click.echo(f"{setup_pw_code(settings).full_label}: {settings.executable}; in a config: oracle.code.")
    elif computer is not None:
        click.echo(f"No code of pw.x on {computer}: to store one, add --pw PATH.")


@setup.command()
@click.argument("computer", required=False, metavar="[COMPUTER]")
@click.option(
    "--config",
    "config_file",
    type=file_argument,
    metavar="CONFIG.yaml",
    help="Check the oracle and resources of this config.",
)
@click.option("--wait", type=float, metavar="SECONDS", help="Maximum time to wait for a job, including the queue.")
@click.option("--no-jobs", is_flag=True, help="Submit no jobs.")
@profile_option
def check(
    computer: str | None, config_file: Path | None, wait: float | None, no_jobs: bool, profile: str | None
) -> None:
    """Check profile, computers and codes; print a remedy for each failure. The last checks are real jobs: a label and a tiny
    fit.

    COMPUTER is this machine by default. With a CONFIG.yaml, its oracle, queues, walltimes and environments are checked.
    """
    from ..config.read import parse_settings, read_yaml
    from ..config.schemas.pipeline import PipelineConfig
    from ..config.schemas.resources import ResourcesConfig
    from ..config.schemas.setup import CheckConfig

    if computer is not None and config_file is not None:
        raise click.UsageError("the config names its computers: omit COMPUTER")
    settings = parse_settings(CheckConfig, {} if wait is None else {"wait": wait}, "--wait")
    if config_file is not None:
        config = parse_settings(PipelineConfig, read_yaml(config_file), str(config_file))
    else:
        options = {"computer": computer or "localhost", "cores": 1, "walltime": settings.walltime}
        resources = parse_settings(ResourcesConfig, options, "COMPUTER")
        content = {"elements": ["Cu"], "resources": {"oracle": resources, "trainer": resources}}
        config = parse_settings(PipelineConfig, content, "COMPUTER")
    load_profile(profile)
    from ..setup.check import check as check_all

    failures = 0
    for result in check_all(config, settings, jobs=not no_jobs):
        click.echo(f"{_MARKS[result.state]} {result.name:<20} {result.detail}".rstrip())
        if result.remedy:
            click.echo(f"  {'':<20} remedy: {result.remedy}")
        failures += result.state == "failed"
    if failures:
        raise UserError(f"{failures} checks failed")
