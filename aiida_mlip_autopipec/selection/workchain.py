"""WorkChain that selects the structures to label."""

from __future__ import annotations

from aiida.engine import ProcessSpec
from aiida.orm import Dict, Int, SinglefileData, TrajectoryData

from ..config.schemas.resources import ResourcesConfig
from ..config.schemas.selection import SelectionConfig
from ..dataset.frame_files import count_structures
from ..programs.catalogue import SELECT_STRUCTURES
from ..programs.program import output_file
from ..programs.restart import ProgramWorkChain
from ..programs.settings import validates
from .calcfunctions import CANDIDATE_PREFIX, KNOWN_PREFIX, take_selected, write_selection_files

MAX_JOBS = 2
"""Maximum number of jobs: the first, and one restart if it is killed."""


def _validate_settings(settings: Dict | None, port: object) -> str | None:
    fault = validates(SelectionConfig)(settings, port)
    if fault is None and settings is not None and settings.get_dict().get("method") == "none":
        return "method is 'none': there is nothing to select"
    return fault


class SelectionWorkChain(ProgramWorkChain):
    """Selects structures by a ShellJob of the portable program `select_structures`."""

    program = SELECT_STRUCTURES

    @classmethod
    def define(cls, spec: ProcessSpec) -> None:
        """Declare inputs and outputs."""
        super().define(spec)
        spec.input_namespace(
            "candidates",
            valid_type=(TrajectoryData, SinglefileData),
            dynamic=True,
            help="The candidates, as nodes by name: trajectories, or pools, which are files.",
        )
        spec.input_namespace(
            "known",
            valid_type=TrajectoryData,
            dynamic=True,
            required=False,
            help="Labelled structures, from which the selected ones should differ: trajectories by name.",
        )
        spec.input("count", valid_type=Int, validator=_validate_count, help="Maximum number of structures to select.")
        spec.input(
            "settings",
            valid_type=Dict,
            validator=_validate_settings,
            help="Settings of the selection: a `SelectionConfig` as dictionary.",
        )
        spec.inputs["max_iterations"].default = lambda: Int(MAX_JOBS)
        spec.output_namespace(
            "selected", valid_type=TrajectoryData, dynamic=True, help="Selected structures: trajectories by name."
        )
        spec.output(
            "report",
            valid_type=Dict,
            help="Order, reason and score of the selected structures; scores of the other candidates.",
        )

    def write_files(self) -> None:
        """Write the settings, candidates and known structures of the job."""
        candidates = dict(self.inputs.candidates)
        # A pool alone is the file that the program reads already.
        only = next(iter(candidates.values())) if len(candidates) == 1 else None
        pool = only if isinstance(only, SinglefileData) else None
        structures = (
            {} if pool is not None else {f"{CANDIDATE_PREFIX}{label}": node for label, node in candidates.items()}
        )
        structures |= {f"{KNOWN_PREFIX}{label}": node for label, node in self.inputs.get("known", {}).items()}
        files = write_selection_files(count=self.inputs.count, settings=self.inputs.settings, **structures)
        if pool is not None:
            files = {**files, "candidates": pool}
        resources = ResourcesConfig.model_validate(self.inputs.resources.get_dict())
        options = [] if resources.cores is None else ["--workers", str(resources.cores)]
        self.set_job(files, options, list(self.program.results))

    def results(self) -> None:
        """Attach the structures that the last job selected."""
        (selection,) = self.program.results
        outputs = take_selected(output_file(self.ctx.children[-1], selection), **self.inputs.candidates)
        self.out("report", outputs.pop("report"))
        self.out("selected", outputs)
        self.report(f"{count_structures(outputs)} of {count_structures(self.inputs.candidates)} structures selected")


def _validate_count(count: Int | None, _: object) -> str | None:
    return "count must be at least 1" if count is not None and count.value < 1 else None
