"""What the ShellJob of `select_structures` says in nodes beyond its files: why it failed."""

from __future__ import annotations

import json
from pathlib import Path

from aiida.orm import Data, Dict

from ..trainer.parser import unexplained

SCRIPT, SELECTION, FAILURE = "select_structures", "selection.json", "failure.json"


def parse_select_structures(dirpath: Path) -> dict[str, Data]:
    """Return nothing if there is a selection; else `failure` with the `kind` and `message` of what went wrong.

    :param dirpath: the folder of the job's retrieved files.
    """
    if (dirpath / FAILURE).exists():
        return {"failure": Dict(json.loads((dirpath / FAILURE).read_text()))}
    if (dirpath / SELECTION).exists():
        return {}
    return {"failure": Dict(unexplained(dirpath, SCRIPT, "not_installed"))}
