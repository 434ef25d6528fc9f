"""AiiDA computers that are reached by SSH and run jobs by a scheduler."""

from __future__ import annotations

from aiida import orm
from aiida.common.exceptions import NotExistent, ValidationError
from aiida.plugins.entry_point import get_entry_point_names

from ..config.errors import UserError
from ..config.schemas.setup import ComputerConfig
from ..host.computers import JOB_DEFAULTS
from ..host.profile import exclusive_lock
from ..programs.resources import HYPERQUEUE
from .ssh import check_key, ensure_entry

TRANSPORT = "core.ssh_async"


def setup_computer(settings: ComputerConfig, *, overwrite: bool = False) -> tuple[orm.Computer, bool]:
    """Create a computer, and its entry in ~/.ssh/config if necessary; no secret is stored in the database.

    :param overwrite: whether to change an existing computer; its scheduler and transport cannot be changed.
    :returns: the computer, and whether an entry was added to ~/.ssh/config.
    :raises UserError: if it exists and `overwrite` is false, its key is missing or readable by others, or the settings conflict
        with ~/.ssh/config.
    """
    existing = _existing(settings.label)
    if existing is not None and not overwrite:
        raise UserError(
            f"there is an AiiDA computer '{settings.label}' already; it is not changed. To change it: --overwrite"
        )
    if existing is not None and (existing.scheduler_type, existing.transport_type) != (_scheduler(settings), TRANSPORT):
        raise UserError(
            f"computer '{settings.label}' uses {existing.transport_type} and {existing.scheduler_type}, which stored jobs "
            "refer to: choose another label"
        )
    if settings.key is not None:
        check_key(settings.key)
    added = ensure_entry(settings)
    with exclusive_lock():
        computer = existing or orm.Computer(
            label=settings.label,
            hostname=settings.host,
            transport_type=TRANSPORT,
            scheduler_type=_scheduler(settings),
            workdir=settings.work_folder,
        )
        _apply_settings(computer, settings)
        try:
            computer.store()
        except ValidationError as error:
            raise UserError(f"computer '{settings.label}' cannot be created: {error}") from error
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
        raise UserError(
            "scheduler hyperqueue needs its plugin: pip install aiida-hyperqueue, and restart the daemon (verdi daemon restart)"
        )
    return HYPERQUEUE


def _apply_settings(computer: orm.Computer, settings: ComputerConfig) -> None:
    computer.hostname = settings.host
    computer.set_workdir(settings.work_folder)
    computer.set_mpirun_command(settings.mpirun)
    computer.set_default_mpiprocs_per_machine(settings.cores)
    computer.set_prepend_text(settings.environment)
    computer.set_minimum_job_poll_interval(settings.poll_interval)
    defaults = {"queue": settings.queue, "account": settings.account}
    computer.set_property(JOB_DEFAULTS, {name: value for name, value in defaults.items() if value is not None})
