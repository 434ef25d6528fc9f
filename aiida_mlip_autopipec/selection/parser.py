"""What the ShellJob of `select_structures` says in nodes beyond its files: why it failed."""

from __future__ import annotations

from pathlib import Path

from aiida.orm import Data

from ..explained import outcome

SELECTION = "selection.json"


def parse_select_structures(dirpath: Path) -> dict[str, Data]:
    """Return nothing if there is a selection; else `failure` with the `kind` and `message` of what went wrong.

    :param dirpath: the folder of the job's retrieved files.
    """
    return outcome(dirpath, "select_structures", {SELECTION: None})
