"""A portable program: name, modules, files, and the construction and parsing of its job."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiida.engine import ExitCode, Process, ProcessSpec
from aiida.orm import AbstractCode, CalcJobNode, Data, Dict, SinglefileData, Str

from .failures import EXIT_CODES, FAILURE_FILE, UNEXPECTED, read_failure
from .resources import job_metadata


@dataclass(frozen=True)
class Program:
    """Declaration of a portable program, from which jobs, parsers and exit codes follow.

    :ivar name: name of its launcher, which is also the label of its code.
    :ivar modules: the folders of modules that are uploaded with it.
    :ivar files: names of its input files, by the name of their node.
    :ivar results: names of files of which one exists if the job succeeded, each with the name of the output that holds its JSON
        content as a `Dict`, or None if there is no such output.
    :ivar failures: the failure kinds that it reports.
    """

    name: str
    modules: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    results: Mapping[str, str | None] = field(default_factory=dict)
    failures: tuple[str, ...] = ()

    def job(
        self,
        code: AbstractCode,
        resources: Dict,
        nodes: Mapping[str, SinglefileData | Str],
        arguments: Sequence[str],
        outputs: Sequence[str],
    ) -> dict[str, Any]:
        """Return the inputs of a `ShellJob` that runs this program.

        :param resources: a `ResourcesConfig`.
        :param nodes: its input files by the names of `files`; other nodes are passed unchanged.
        :param arguments: its command line; `{name}` is replaced by a node.
        :param outputs: names of the files that become outputs.
        """
        return {
            "code": code,
            "nodes": dict(nodes),
            "filenames": {name: self.files[name] for name in nodes if name in self.files},
            "arguments": list(arguments),
            "outputs": list(outputs),
            "parser": f"aiida.parsers:mlip_autopipec.{self.name}",
            "metadata": job_metadata(resources, redirect_stderr=True, additional_retrieve=[FAILURE_FILE]),
        }

    def parse(self, dirpath: Path) -> dict[str, Data]:
        """Return the output of a job that succeeded, or `failure` with its `kind` and `message`.

        :param dirpath: the folder of the job's retrieved files.
        """
        failure = read_failure(dirpath, self.name, self.results)
        if failure is not None:
            return {"failure": Dict(failure)}
        for name, label in self.results.items():
            if (dirpath / name).exists():
                return {} if label is None else {label: Dict(json.loads((dirpath / name).read_text()))}
        return {}

    def declare_exit_codes(self, spec: ProcessSpec) -> None:
        """Declare an exit code for each failure kind; its message is that of the program."""
        for kind in self.failures:
            status, label = EXIT_CODES[kind]
            spec.exit_code(status, label, message="{message}")
        status, label = EXIT_CODES[UNEXPECTED]
        spec.exit_code(status, label, message=f"{self.name} failed: {{message}}")

    def exit_code(self, process: Process, kind: str, message: str) -> ExitCode:
        """Return the exit code of a WorkChain whose job failed."""
        _, label = EXIT_CODES[kind if kind in self.failures else UNEXPECTED]
        return process.exit_codes[label].format(message=message)


def link_label(filename: str) -> str:
    """Return the output label of a file of a ShellJob."""
    return filename.replace(".", "_")


def output_file(job: CalcJobNode, filename: str) -> SinglefileData:
    """Return the output node of a file of a job."""
    return job.outputs[link_label(filename)]
