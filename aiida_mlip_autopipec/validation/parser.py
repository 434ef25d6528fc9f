"""What the ShellJobs of `validate_potential` say in nodes beyond their files: the sizes of crystals, or why one failed."""

from __future__ import annotations

import json
from pathlib import Path

from aiida.orm import Data, Dict

from ..trainer.parser import unexplained

SCRIPT, EQUILIBRIUM, FAILURE, DONE = "validate_potential", "equilibrium.json", "failure.json", "labels.npz"


def parse_validate_potential(dirpath: Path) -> dict[str, Data]:
    """Return `equilibrium` if that was the task; `failure` with the `kind` and `message` of what went wrong.

    :param dirpath: the folder of the job's retrieved files.
    """
    if (dirpath / FAILURE).exists():
        return {"failure": Dict(json.loads((dirpath / FAILURE).read_text()))}
    if (dirpath / EQUILIBRIUM).exists():
        return {"equilibrium": Dict(json.loads((dirpath / EQUILIBRIUM).read_text()))}
    if (dirpath / DONE).exists():
        return {}
    return {"failure": Dict(unexplained(dirpath, SCRIPT, "not_installed"))}
