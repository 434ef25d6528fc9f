"""The codes of a run: the portable scripts, which are sent along, and pw.x where it is installed."""

from __future__ import annotations

from aiida import orm
from aiida.common.exceptions import NotExistent

from ..config.read import ConfigError
from ..config.schemas.setup import PwCodeConfig
from ..environment import PORTABLE_CODES, alone, ensure_code, ensure_computer

PW_PLUGIN = "quantumespresso.pw"


def setup_portable_codes() -> list[orm.PortableCode]:
    """Return the portable codes as they are in this package, storing them if they are new."""
    return [ensure_code(name) for name in PORTABLE_CODES]


def setup_pw_code(settings: PwCodeConfig) -> orm.InstalledCode:
    """Make the code of pw.x on a computer.

    :raises ConfigError: if the computer is missing, or has another code of that name.
    """
    computer = ensure_computer(settings.computer)
    full_label = f"{settings.label}@{settings.computer}"
    with alone():
        try:
            known = orm.load_code(full_label)
        except NotExistent:
            return orm.InstalledCode(
                label=settings.label,
                computer=computer,
                filepath_executable=settings.executable,
                default_calc_job_plugin=PW_PLUGIN,
                # The processes of MPI are the parallelism.
                prepend_text="\n".join(filter(None, [settings.environment, "export OMP_NUM_THREADS=1"])),
            ).store()
    raise ConfigError(
        f"there is a code {full_label} already, of {known.get_executable()}; labels on record rely on it. Give this one "
        "another name: --label"
    )
