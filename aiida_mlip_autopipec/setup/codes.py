"""AiiDA codes of a run: the portable programs, which are uploaded, and an installed pw.x."""

from __future__ import annotations

from aiida import orm
from aiida.common.exceptions import NotExistent

from ..config.errors import UserError
from ..config.schemas.setup import PwCodeConfig
from ..host.codes import create_pw_code
from ..host.computers import ensure_computer
from ..host.profile import exclusive_lock
from ..programs.catalogue import PROGRAMS
from ..programs.codes import ensure_code


def setup_portable_codes() -> list[orm.PortableCode]:
    """Return the codes of the portable programs of this package, and store them if they are new."""
    return [ensure_code(name) for name in PROGRAMS]


def setup_pw_code(settings: PwCodeConfig) -> orm.InstalledCode:
    """Store a code of pw.x on a computer.

    :raises UserError: if the computer is missing, or has another code of that name.
    """
    computer = ensure_computer(settings.computer)
    full_label = f"{settings.label}@{settings.computer}"
    with exclusive_lock():
        try:
            known = orm.load_code(full_label)
        except NotExistent:
            return create_pw_code(settings.label, computer, settings.executable, settings.environment)
    raise UserError(
        f"there is a code {full_label} already, of {known.get_executable()}, which stored labels refer to. Choose another "
        "name: --label"
    )
