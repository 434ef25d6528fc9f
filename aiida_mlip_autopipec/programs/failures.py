"""Failures of processes; of a portable program, from the message that it wrote, else from its exit status."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from aiida.orm import CalcFunctionNode, CalcJobNode, ProcessNode

UNEXPECTED, KILLED, OUT_OF_TIME = "unexpected", "killed", "out_of_time"

EXIT_CODES = {
    "bad_input": (500, "ERROR_BAD_INPUT"),
    "no_neighbours": (501, "ERROR_NO_NEIGHBOURS"),
    "too_few_atoms": (502, "ERROR_TOO_FEW_ATOMS"),
    "diverged": (503, "ERROR_DIVERGED"),
    OUT_OF_TIME: (504, "ERROR_OUT_OF_TIME"),
    "not_installed": (505, "ERROR_NOT_INSTALLED"),
    KILLED: (506, "ERROR_KILLED"),
    "potential_unusable": (507, "ERROR_POTENTIAL_UNUSABLE"),
    "unphysical": (508, "ERROR_UNPHYSICAL"),
    "nothing_new": (509, "ERROR_NOTHING_NEW"),
    UNEXPECTED: (510, "ERROR_UNEXPECTED"),
}
"""Status and label of the exit code of a WorkChain by failure kind of its job."""

RESTARTED = (KILLED, OUT_OF_TIME)
"""Failure kinds after which the job is restarted, up to the maximum number of restarts."""

FAILURE_FILE, STATUS_FILE, LOG_FILE = "failure.json", "status", "stdout"

LABEL_LOG_FILE = "log.txt"
"""Log of a job of labels by ASE, which is no ShellJob."""

_LAST_LINES = 30
"""Number of lines of a log in a message."""

_CANNOT_START = (126, 127)
"""Exit statuses of a shell that cannot run a command."""


def read_failure(dirpath: Path, program: str, results: Iterable[str]) -> dict[str, str] | None:
    """Return the `kind` and `message` of a failure; None if the job succeeded.

    :param dirpath: the folder of the job's retrieved files.
    :param results: names of files; at least one of them exists if the job succeeded.
    """
    path = dirpath / FAILURE_FILE
    # On a full disk the file exists and is empty.
    failure: dict[str, str] = json.loads(path.read_text() or "{}") if path.exists() else {}
    if failure:
        return failure
    if any((dirpath / name).exists() for name in results):
        return None
    return _failure_by_status(dirpath, program)


def _failure_by_status(dirpath: Path, program: str) -> dict[str, str]:
    log = dirpath / LOG_FILE
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    tail = "\n".join(lines[-_LAST_LINES:]) or "the log is empty"
    try:
        status = int((dirpath / STATUS_FILE).read_text())
    except (OSError, ValueError):
        return {"kind": KILLED, "message": f"the job was killed before it finished; the end of its log:\n{tail}"}
    if status in _CANNOT_START:
        return {"kind": "not_installed", "message": f"{program} could not be started: {tail}"}
    if status > 128:
        return {
            "kind": KILLED,
            "message": f"{program} was killed by signal {status - 128}; the end of its log:\n{tail}",
        }
    return {"kind": UNEXPECTED, "message": f"{program} ended with status {status}; the end of its log:\n{tail}"}


def reason_of(process: ProcessNode) -> str:
    """Return why a process failed: its exit message, else its exception, else its state, such as `killed`."""
    return process.exit_message or (process.exception or "").strip() or str(process.process_state.value)


def failure_of(job: CalcJobNode) -> tuple[str, str]:
    """Return failure kind and message of a job of a portable program."""
    failure = job.outputs.failure.get_dict() if "failure" in job.outputs else {}
    return failure.get("kind", ""), str(failure.get("message") or job.exit_message or job.exception)


def failed_and_uncached(function: CalcFunctionNode) -> bool:
    """Return whether a calcfunction failed; if so, exclude its node from AiiDA's caching."""
    if function.is_finished_ok:
        return False
    function.base.caching.is_valid_cache = False
    return True
