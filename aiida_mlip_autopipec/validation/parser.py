"""What the ShellJobs of `validate_potential` say in nodes beyond their files: the sizes of crystals, or why one failed."""

from __future__ import annotations

from pathlib import Path

from aiida.orm import Data

from ..explained import outcome
from .job import EQUILIBRIUM, LABELS


def parse_validate_potential(dirpath: Path) -> dict[str, Data]:
    """Return `equilibrium` if that was the task; `failure` with the `kind` and `message` of what went wrong.

    :param dirpath: the folder of the job's retrieved files.
    """
    return outcome(dirpath, "validate_potential", {EQUILIBRIUM: "equilibrium", LABELS: None})
