"""What the ShellJobs of `explore_structures` say in nodes beyond their files: why one failed."""

from __future__ import annotations

from pathlib import Path

from aiida.orm import Data

from ..explained import outcome

REPORT = "exploration.json"


def parse_explore_structures(dirpath: Path) -> dict[str, Data]:
    """Return `failure` with the `kind` and `message` of what went wrong, if anything did.

    :param dirpath: the folder of the job's retrieved files.
    """
    return outcome(dirpath, "explore_structures", {REPORT: None})
