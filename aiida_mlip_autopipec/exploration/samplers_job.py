"""WorkChain that runs some samplers in one job, and restarts a killed job from the samplers that had finished."""

from __future__ import annotations

import json

from aiida.engine import ProcessHandlerReport, ProcessSpec, process_handler
from aiida.orm import CalcJobNode, SinglefileData

from ..programs.catalogue import EXPLORE_STRUCTURES
from ..programs.program import link_label, output_file
from ..programs.resources import limit_options
from ..programs.restart import ProgramWorkChain

(REPORT,) = EXPLORE_STRUCTURES.results
FRAMES = "frames.traj"


class SamplersWorkChain(ProgramWorkChain):
    """Runs samplers with a potential by a ShellJob of the portable program `explore_structures`."""

    program = EXPLORE_STRUCTURES
    continues = True

    @classmethod
    def define(cls, spec: ProcessSpec) -> None:
        """Declare inputs and outputs."""
        super().define(spec)
        spec.input("potential_yaml", valid_type=SinglefileData, help="The potential, as a `.yaml` file.")
        spec.input("active_set", valid_type=SinglefileData, help="The active set of the potential, an `.asi` file.")
        spec.input("settings", valid_type=SinglefileData, help="The settings of the program.")
        spec.input("samplers", valid_type=SinglefileData, help="The samplers, as a trajectory file.")
        spec.output("frames", valid_type=SinglefileData, required=False, help="The saved frames.")
        spec.output("report", valid_type=SinglefileData, required=False, help="Results of the finished samplers.")

    def write_files(self) -> None:
        """Set the files of the job: inputs of this WorkChain, so that none are written."""
        files = {
            "settings": self.inputs.settings,
            "walkers": self.inputs.samplers,
            "yaml": self.inputs.potential_yaml,
            "asi": self.inputs.active_set,
        }
        self.set_job(files, limit_options(self.inputs.resources), [FRAMES, REPORT])

    @process_handler(priority=600)
    def keep_finished(self, node: CalcJobNode) -> ProcessHandlerReport | None:
        """Attach the frames of finished samplers if no further job will run."""
        last = node.is_finished_ok or self.ctx.iteration >= self.inputs.max_iterations.value
        if last and _has_results(node):
            self.out("frames", output_file(node, FRAMES))
            self.out("report", output_file(node, REPORT))
        return None

    def results(self) -> None:
        """Return nothing: :meth:`keep_finished` has attached the files."""


def _has_results(job: CalcJobNode) -> bool:
    """Return whether at least one sampler of a job finished and its files were retrieved."""
    if not {link_label(REPORT), link_label(FRAMES)} <= set(job.outputs):
        return False
    return json.loads(output_file(job, REPORT).get_content(mode="r"))["done"] > 0
