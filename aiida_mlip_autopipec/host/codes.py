"""AiiDA codes of pw.x."""

from __future__ import annotations

import shutil

from aiida import orm

from .computers import LOCALHOST, ensure_computer

PW_PLUGIN = "quantumespresso.pw"


def create_pw_code(name: str, computer: orm.Computer, executable: str, environment: str = "") -> orm.InstalledCode:
    """Store a code of pw.x on a computer.

    :param environment: lines of the job script before pw.x.
    """
    return orm.InstalledCode(
        label=name,
        computer=computer,
        filepath_executable=executable,
        default_calc_job_plugin=PW_PLUGIN,
        # pw.x is parallelised by MPI only: its processes use all cores.
        prepend_text="\n".join(filter(None, [environment, "export OMP_NUM_THREADS=1"])),
    ).store()


def create_local_pw_code(label: str) -> orm.InstalledCode | None:
    """Store the code `<name>@localhost` of the pw.x on the PATH; return None if there is none, or for another computer."""
    name, _, computer = label.partition("@")
    program = shutil.which("pw.x")
    if computer != LOCALHOST or program is None:
        return None
    return create_pw_code(name, ensure_computer(LOCALHOST), program)
