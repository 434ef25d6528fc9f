"""AiiDA codes of programs installed on this machine."""

from __future__ import annotations

import shutil

from aiida import orm

from .computers import LOCALHOST, ensure_computer


def ensure_pw_code(label: str) -> orm.InstalledCode | None:
    """Create the code `<name>@localhost` of the pw.x on the PATH; return None if there is none."""
    name, _, computer = label.partition("@")
    program = shutil.which("pw.x")
    if computer != LOCALHOST or program is None:
        return None
    return orm.InstalledCode(
        label=name,
        computer=ensure_computer(LOCALHOST),
        filepath_executable=program,
        default_calc_job_plugin="quantumespresso.pw",
        # MPI processes use all cores.
        prepend_text="export OMP_NUM_THREADS=1",
    ).store()
