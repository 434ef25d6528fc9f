"""AiiDA's command `verdi` with the workarounds for aiida-core; it starts the processes of the daemon."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

COMMAND = "daemon-verdi"
"""Name of the hidden command of `mlip-auto`."""


def command_line() -> list[str]:
    """Return the command line of this command, or of `verdi` if `mlip-auto` is not next to this Python."""
    programs = Path(sys.executable).parent
    own = programs / "mlip-auto"
    return [str(own), COMMAND] if own.exists() else [str(programs / "verdi")]


def run(arguments: Sequence[str]) -> None:
    """Run a command of `verdi` with the workarounds for the supervisor, workers and the broker."""
    from aiida.cmdline.commands.cmd_verdi import verdi
    from aiida.engine.daemon import client

    from .workarounds import (
        dead_workers,
        late_status,
        lost_broker,
        speed,
        unused_statistics,
        waiting_database,
    )

    # The supervisor starts workers and broker by this command; AiiDA appends the arguments.
    client.VERDI_BIN = shlex.join(command_line())
    if "start-circus" in arguments:
        unused_statistics.install()
    if "worker" in arguments:
        waiting_database.install(None)
        speed.install()
        lost_broker.install()
    if "broker" in arguments:
        dead_workers.install()
        late_status.install()
    verdi.main(args=list(arguments), prog_name="verdi")
