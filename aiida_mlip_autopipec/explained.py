"""Jobs of the portable programs, which explain their failures: what they say, read from their files and acted upon."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar

from aiida.engine import BaseRestartWorkChain, ProcessHandlerReport, process_handler
from aiida.orm import CalcJobNode, Data, Dict
from aiida_shell import ShellJob

from .worker import EndsWithBroker

FAILURE, STATUS, STDOUT = "failure.json", "status", "stdout"
ENDED = ("killed", "out_of_time")
"""Kinds of failure after which another job goes on, as often as that is allowed."""

_TAIL = 30
_CANNOT_START = (126, 127)


def outcome(dirpath: Path, script: str, results: dict[str, str | None]) -> dict[str, Data]:
    """Return the nodes that a parser makes of a job: of its result, or `failure` with the `kind` and `message` of it.

    :param dirpath: the folder of the job's retrieved files.
    :param script: the portable program it ran.
    :param results: files of which one is there if the job was done, and the label under which what it holds, JSON, becomes a
        node; None if the file itself is output enough.
    """
    path = dirpath / FAILURE
    # On a full disk it is there, and empty.
    failure = json.loads(path.read_text() or "{}") if path.exists() else {}
    if not failure:
        for name, label in results.items():
            if (dirpath / name).exists():
                return {} if label is None else {label: Dict(json.loads((dirpath / name).read_text()))}
        failure = _unexplained(dirpath, script)
    return {"failure": Dict(failure)}


def _unexplained(dirpath: Path, script: str) -> dict[str, str]:
    """Explain the end of a job that did not explain itself."""
    stdout = dirpath / STDOUT
    log = stdout.read_text(errors="replace").splitlines() if stdout.exists() else []
    tail = "\n".join(log[-_TAIL:]) or "the log is empty"
    try:
        status = int((dirpath / STATUS).read_text())
    except (OSError, ValueError):
        return {"kind": "killed", "message": f"the job was ended before it was done; the end of its log:\n{tail}"}
    if status in _CANNOT_START:
        return {"kind": "not_installed", "message": f"{script} could not be started: {tail}"}
    if status > 128:
        return {
            "kind": "killed",
            "message": f"{script} was ended by signal {status - 128}; the end of its log:\n{tail}",
        }
    return {"kind": "unexpected", "message": f"{script} ended with status {status}; the end of its log:\n{tail}"}


def failure_of(job: CalcJobNode) -> tuple[str, str]:
    """Return the kind of failure of a portable program's job, and what is to be said of it."""
    failure = job.outputs.failure.get_dict() if "failure" in job.outputs else {}
    return failure.get("kind", ""), str(failure.get("message") or job.exit_message or job.exception)


class ExplainedJobWorkChain(EndsWithBroker, BaseRestartWorkChain):
    """Base of WorkChains around a job of a portable program: one that was ended goes on in another."""

    _process_class = ShellJob

    EXIT_CODES: ClassVar[dict[str, str]] = {}
    """Label of the exit code of each kind of failure; others are `ERROR_UNEXPECTED`."""

    def go_on_from(self, node: CalcJobNode) -> None:
        """Tell the next job what an ended one has left; by default it begins anew."""

    @process_handler(priority=500)
    def handle_explained_failure(self, node: CalcJobNode) -> ProcessHandlerReport | None:
        """Go on in another job if this one was ended; else pass on what the program said."""
        if node.is_finished_ok or "failure" not in node.outputs:
            return None
        kind, message = failure_of(node)
        if kind in ENDED and self.ctx.iteration < self.inputs.max_iterations.value:
            self.report(f"job {node.pk} was ended, and another is submitted: {message}")
            self.go_on_from(node)
            return ProcessHandlerReport(do_break=True)
        code = self.exit_codes[self.EXIT_CODES.get(kind, "ERROR_UNEXPECTED")]
        # Else AiiDA says in the last job allowed only that there were too many.
        self.ctx.is_finished = True
        return ProcessHandlerReport(do_break=True, exit_code=code.format(message=message))
