"""What the ShellJobs of `validate_potential` say in nodes beyond their files: the sizes of crystals, or why one failed."""

from __future__ import annotations

import json
from pathlib import Path

from aiida.orm import Data, Dict

from ..trainer.parser import explained, unexplained

SCRIPT, EQUILIBRIUM, DONE = "validate_potential", "equilibrium.json", "labels.npz"


def parse_validate_potential(dirpath: Path) -> dict[str, Data]:
    """Return `equilibrium` if that was the task; `failure` with the `kind` and `message` of what went wrong.

    :param dirpath: the folder of the job's retrieved files.
    """
    if failure := explained(dirpath):
        return {"failure": Dict(failure)}
    if (dirpath / EQUILIBRIUM).exists():
        return {"equilibrium": Dict(json.loads((dirpath / EQUILIBRIUM).read_text()))}
    if (dirpath / DONE).exists():
        return {}
    return {"failure": Dict(unexplained(dirpath, SCRIPT, "not_installed"))}
