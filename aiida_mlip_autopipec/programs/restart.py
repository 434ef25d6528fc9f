"""Base class of WorkChains that run a portable program and restart its job if it was killed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from aiida.common import AttributeDict
from aiida.engine import (
    BaseRestartWorkChain,
    ExitCode,
    ProcessHandlerReport,
    ProcessSpec,
    calcfunction,
    process_handler,
    while_,
)
from aiida.orm import AbstractCode, CalcJobNode, Data, Dict, RemoteData, Str
from aiida_shell import ShellJob

from ..host.workarounds.lost_connection import WithWorkarounds
from .failures import RESTARTED, failure_of
from .program import Program
from .resources import validate_resources

PREVIOUS = "previous"
"""Input of a restarted job: the folder of the previous job."""


@calcfunction
def path_of(folder: RemoteData) -> Str:
    """Return the path of a folder on its computer, because aiida-shell accepts no `RemoteData` with a portable code."""
    return Str(folder.get_remote_path())


class ProgramWorkChain(WithWorkarounds, BaseRestartWorkChain):
    """Run a portable program as a ShellJob; restart a killed job, return the exit code of any other failure."""

    _process_class = ShellJob

    program: ClassVar[Program]

    continues: ClassVar[bool] = False
    """Whether the program continues the work of a killed job, whose folder it takes as `--previous`."""

    @classmethod
    def define(cls, spec: ProcessSpec) -> None:
        """Declare inputs, outline, outputs and exit codes."""
        super().define(spec)
        spec.input(
            "resources",
            valid_type=Dict,
            validator=validate_resources,
            help="Resources of the job: a `ResourcesConfig` as dictionary.",
        )
        spec.input("code", valid_type=AbstractCode, help=f"The portable code `{cls.program.name}`.")
        spec.outline(
            cls.setup,
            cls.write_files,
            while_(cls.should_run_process)(
                cls.run_process,
                cls.inspect_process,
            ),
            cls.results,
        )
        cls.program.declare_exit_codes(spec)

    def write_files(self) -> ExitCode | None:
        """Write the files of the job, and set `ctx.inputs` by :meth:`set_job`."""
        raise NotImplementedError

    def set_job(self, files: Mapping[str, Data], options: list[str], outputs: list[str]) -> None:
        """Set the inputs of the job; its command line has the options, then the files.

        :param files: by the names of `program.files`; others are ignored.
        :param outputs: names of the files that become outputs.
        """
        nodes = {name: files[name] for name in self.program.files if name in files}
        arguments = [*options, *(f"{{{name}}}" for name in nodes)]
        job = self.program.job(self.inputs.code, self.inputs.resources, nodes, arguments, outputs)
        self.ctx.inputs = AttributeDict(job)

    def _continue_in(self, job: CalcJobNode) -> None:
        """Pass the folder of a killed job, with what it has saved, to the next job."""
        inputs = self.ctx.inputs
        if PREVIOUS not in inputs.nodes:
            inputs.arguments = ["--previous", f"{{{PREVIOUS}}}", *inputs.arguments]
        inputs.nodes = {**inputs.nodes, PREVIOUS: path_of(job.outputs.remote_folder)}

    @process_handler(priority=500)
    def handle_failure(self, node: CalcJobNode) -> ProcessHandlerReport | None:
        """Restart the job if it was killed, else return the exit code of its failure."""
        if node.is_finished_ok or "failure" not in node.outputs:
            return None
        kind, message = failure_of(node)
        if kind in RESTARTED and self.ctx.iteration < self.inputs.max_iterations.value:
            self.report(f"job {node.pk} is restarted: {message}")
            if self.continues:
                self._continue_in(node)
            return ProcessHandlerReport(do_break=True)
        # Without this, AiiDA would report only that the maximum number of jobs was reached.
        self.ctx.is_finished = True
        return ProcessHandlerReport(do_break=True, exit_code=self.program.exit_code(self, kind, message))
