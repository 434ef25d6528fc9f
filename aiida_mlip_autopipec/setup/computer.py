"""AiiDA computers that are reached by SSH and run jobs by a scheduler."""

from __future__ import annotations

from aiida import orm
from aiida.common.exceptions import NotExistent, ValidationError
from aiida.plugins.entry_point import get_entry_point_names

from ..config.read import ConfigError
from ..config.schemas.setup import ComputerConfig
from ..environment import JOB_DEFAULTS, alone
from ..jobs import HYPERQUEUE
from .ssh import check_key, ensure_entry

TRANSPORT = "core.ssh_async"


def setup_computer(settings: ComputerConfig, *, overwrite: bool = False) -> tuple[orm.Computer, bool]:
    """Make a computer, and its entry in ~/.ssh/config if it needs one; no secret goes into the database.

    :param overwrite: change an existing one; its scheduler and transport stay what they are.
    :returns: the computer, and whether an entry was added to ~/.ssh/config.
    :raises ConfigError: if it exists and is not to be changed, its key is missing or can be read by others, or SSH is told
        otherwise.
    """
    existing = _existing(settings.label)
    if existing is not None and not overwrite:
        raise ConfigError(
            f"there is an AiiDA computer '{settings.label}' already; it is left as it is. To change it: --overwrite"
        )
    if existing is not None and (existing.scheduler_type, existing.transport_type) != (_scheduler(settings), TRANSPORT):
        raise ConfigError(
            f"computer '{settings.label}' is one of {existing.transport_type} and {existing.scheduler_type}, which jobs on "
            "record rely on: choose another label"
        )
    if settings.key is not None:
        check_key(settings.key)
    added = ensure_entry(settings)
    with alone():
        computer = existing or orm.Computer(
            label=settings.label,
            hostname=settings.host,
            transport_type=TRANSPORT,
            scheduler_type=_scheduler(settings),
            workdir=settings.work_folder,
        )
        _tell(computer, settings)
        try:
            computer.store()
        except ValidationError as error:
            raise ConfigError(f"computer '{settings.label}' cannot be made: {error}") from error
        computer.configure(host=settings.label, safe_interval=settings.safe_interval)
    return computer, added


def _existing(label: str) -> orm.Computer | None:
    try:
        return orm.load_computer(label)
    except NotExistent:
        return None


def _scheduler(settings: ComputerConfig) -> str:
    if settings.scheduler != HYPERQUEUE:
        return f"core.{settings.scheduler}"
    if HYPERQUEUE not in get_entry_point_names("aiida.schedulers"):
        raise ConfigError(
            "scheduler hyperqueue needs its plugin: pip install aiida-hyperqueue, and restart the daemon (verdi daemon restart)"
        )
    return HYPERQUEUE


def _tell(computer: orm.Computer, settings: ComputerConfig) -> None:
    computer.hostname = settings.host
    computer.set_workdir(settings.work_folder)
    computer.set_mpirun_command(settings.mpirun)
    computer.set_default_mpiprocs_per_machine(settings.cores)
    computer.set_prepend_text(settings.environment)
    computer.set_minimum_job_poll_interval(settings.poll_interval)
    defaults = {"queue": settings.queue, "account": settings.account}
    computer.set_property(JOB_DEFAULTS, {name: value for name, value in defaults.items() if value is not None})
