"""What the ShellJobs of `explore_structures` say in nodes beyond their files: why one failed."""

from __future__ import annotations

from pathlib import Path

from aiida.orm import Data, Dict

from ..trainer.parser import explained, unexplained

SCRIPT, DONE = "explore_structures", "exploration.json"


def parse_explore_structures(dirpath: Path) -> dict[str, Data]:
    """Return `failure` with the `kind` and `message` of what went wrong, if anything did.

    :param dirpath: the folder of the job's retrieved files.
    """
    if failure := explained(dirpath):
        return {"failure": Dict(failure)}
    if (dirpath / DONE).exists():
        return {}
    return {"failure": Dict(unexplained(dirpath, SCRIPT, "not_installed"))}
