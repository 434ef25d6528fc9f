"""AiiDA computers: creation of `localhost`, and default resources of jobs."""

from __future__ import annotations

import contextlib
import shlex
import sys
from pathlib import Path

from aiida import orm
from aiida.common.exceptions import NotExistent
from aiida.manage.configuration import get_config, load_profile

from ..config.errors import UserError, shown
from ..config.schemas.resources import ResourcesConfig
from .profile import exclusive_lock

LOCALHOST = "localhost"
JOB_DEFAULTS = "mlip_autopipec_defaults"
"""Property of a computer: default resources of its jobs."""


def ensure_computer(label: str) -> orm.Computer:
    """Return a computer; create `localhost` if it does not exist.

    :raises UserError: if another computer does not exist, or is not configured.
    """
    try:
        with exclusive_lock():
            computer = orm.load_computer(label)
    except NotExistent:
        if label == LOCALHOST:
            return _create_localhost()
        known = ", ".join(sorted(computer.label for computer in orm.Computer.collection.all())) or "none"
        raise UserError(
            f"there is no AiiDA computer {shown(label)} (known: {known}); create it by "
            "`mlip-auto setup computer FILE.yaml`, or by `verdi computer setup` and `verdi computer configure`"
        ) from None
    if not computer.is_configured:
        raise UserError(f"computer '{label}' is not configured: run `verdi computer configure`")
    return computer


def _create_localhost() -> orm.Computer:
    with exclusive_lock():
        # Another command may have created it meanwhile.
        with contextlib.suppress(NotExistent):
            return orm.load_computer(LOCALHOST)
        return _new_localhost()


def _new_localhost() -> orm.Computer:
    workdir = Path(get_config().dirpath) / "scratch" / load_profile().name
    computer = orm.Computer(
        label=LOCALHOST,
        hostname="localhost",
        description="This machine",
        transport_type="core.local",
        scheduler_type="core.direct",
        workdir=str(workdir),
    ).store()
    # Jobs have the environment of the daemon; a login shell may need more time than a query of the scheduler.
    computer.configure(safe_interval=0, use_login_shell=False)
    # On this machine the query costs little, and each job of a run waits for one after it has ended.
    computer.set_minimum_job_poll_interval(0.3)
    computer.set_default_mpiprocs_per_machine(1)
    return computer


def prepare_resources(resources: ResourcesConfig) -> ResourcesConfig:
    """Return complete resources of jobs: fields that are not set have the defaults of the computer.

    :raises UserError: if the computer does not exist or is not configured.
    """
    computer = ensure_computer(resources.computer)
    defaults = computer.get_property(JOB_DEFAULTS, {})
    unset = {name: value for name, value in defaults.items() if getattr(resources, name) is None}
    return with_this_python(resources.model_copy(update=unset))


def with_this_python(resources: ResourcesConfig) -> ResourcesConfig:
    """Return resources that on this machine activate the running Python environment, before the user's own lines."""
    if resources.computer != LOCALHOST:
        return resources
    line = f"export PATH={shlex.quote(str(Path(sys.prefix) / 'bin'))}:$PATH"
    return resources.model_copy(update={"prepend_text": f"{line}\n{resources.prepend_text}".rstrip()})
