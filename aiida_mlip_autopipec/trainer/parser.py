"""What the ShellJob of `pace_train` says in nodes beyond its files: the metrics, or why it failed."""

from __future__ import annotations

import json
from pathlib import Path

from aiida.orm import Data, Dict

METRICS, FAILURE, STATUS, STDOUT = "metrics.json", "failure.json", "status", "stdout"
_TAIL = 30
_CANNOT_START = (126, 127)


def parse_pace_train(dirpath: Path) -> dict[str, Data]:
    """Return `metrics`, or `failure` with the `kind` and `message` of what went wrong.

    :param dirpath: the folder of the job's retrieved files.
    """
    if failure := explained(dirpath):
        return {"failure": Dict(failure)}
    if (dirpath / METRICS).exists():
        return {"metrics": Dict(json.loads((dirpath / METRICS).read_text()))}
    return {"failure": Dict(unexplained(dirpath, "pace_train", "not_installed"))}


def explained(dirpath: Path) -> dict[str, str]:
    """Return the `kind` and `message` of a failure that a portable program explained itself; nothing if it did not."""
    path = dirpath / FAILURE
    # On a full disk it is there, and empty.
    found: dict[str, str] = json.loads(path.read_text() or "{}") if path.exists() else {}
    return found


def unexplained(dirpath: Path, script: str, missing: str) -> dict[str, str]:
    """Explain the end of a job that did not explain itself.

    :param dirpath: the folder of the job's retrieved files.
    :param script: the portable script it ran.
    :param missing: the kind of failure if that could not be started.
    """
    stdout = dirpath / STDOUT
    log = stdout.read_text(errors="replace").splitlines() if stdout.exists() else []
    tail = "\n".join(log[-_TAIL:]) or "the log is empty"
    try:
        status = int((dirpath / STATUS).read_text())
    except (OSError, ValueError):
        return {"kind": "killed", "message": f"the job was ended before it was done; the end of its log:\n{tail}"}
    if status in _CANNOT_START:
        return {"kind": missing, "message": f"{script} could not be started: {tail}"}
    if status > 128:
        return {
            "kind": "killed",
            "message": f"{script} was ended by signal {status - 128}; the end of its log:\n{tail}",
        }
    return {"kind": "unexpected", "message": f"{script} ended with status {status}; the end of its log:\n{tail}"}
