"""What the ShellJob of `pace_train` says in nodes beyond its files: the metrics, or why it failed."""

from __future__ import annotations

from pathlib import Path

from aiida.orm import Data

from ..explained import outcome

METRICS = "metrics.json"


def parse_pace_train(dirpath: Path) -> dict[str, Data]:
    """Return `metrics`, or `failure` with the `kind` and `message` of what went wrong.

    :param dirpath: the folder of the job's retrieved files.
    """
    return outcome(dirpath, "pace_train", {METRICS: "metrics"})
