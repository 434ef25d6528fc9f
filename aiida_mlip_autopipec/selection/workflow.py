"""The WorkChain that chooses the structures that are worth a label."""

from __future__ import annotations

from typing import ClassVar

from aiida.common import AttributeDict
from aiida.engine import ProcessSpec, while_
from aiida.orm import AbstractCode, Dict, Int, TrajectoryData

from ..config.schemas.resources import ResourcesConfig
from ..config.schemas.selection import SelectionConfig
from ..dataset.trajectory import count_frames
from ..explained import FAILURE, ExplainedJobWorkChain
from ..jobs import job_metadata, link_label, validate_resources, validates
from .parser import SELECTION
from .process import CANDIDATE, CANDIDATES, KNOWN, OF_KNOWN, SETTINGS, take_selected, write_selection_files

PARSER = "aiida.parsers:mlip_autopipec.select_structures"

JOBS = 2
"""Most jobs that are submitted: one, and another if that was killed."""


def _validate_settings(settings: Dict | None, port: object) -> str | None:
    fault = validates(SelectionConfig)(settings, port)
    if fault is None and settings is not None and settings.get_dict().get("method") == "none":
        return "method is 'none': there is nothing to do"
    return fault


class SelectionWorkChain(ExplainedJobWorkChain):
    """Chooses structures by a ShellJob of the portable script `select_structures`."""

    EXIT_CODES: ClassVar = {
        "bad_input": "ERROR_BAD_INPUT",
        "killed": "ERROR_KILLED",
        "not_installed": "ERROR_SELECTOR_MISSING",
    }

    @classmethod
    def define(cls, spec: ProcessSpec) -> None:
        """Declare inputs, outline, outputs and exit codes."""
        super().define(spec)
        spec.input_namespace("candidates", valid_type=TrajectoryData, dynamic=True, help="To choose from, by label.")
        spec.input_namespace(
            "known",
            valid_type=TrajectoryData,
            dynamic=True,
            required=False,
            help="Structures that count as chosen already, by label.",
        )
        spec.input("count", valid_type=Int, validator=_validate_count, help="How many to choose, at most.")
        spec.input("settings", valid_type=Dict, validator=_validate_settings, help="A `SelectionConfig`.")
        spec.input("resources", valid_type=Dict, validator=validate_resources, help="A `ResourcesConfig`.")
        spec.input("code", valid_type=AbstractCode, help="The portable code `select_structures`.")
        spec.inputs["max_iterations"].default = lambda: Int(JOBS)

        spec.outline(
            cls.setup,
            cls.write_files,
            while_(cls.should_run_process)(
                cls.run_process,
                cls.inspect_process,
            ),
            cls.results,
        )

        spec.output_namespace("selected", valid_type=TrajectoryData, dynamic=True, help="The chosen ones, by label.")
        spec.output("report", valid_type=Dict, help="Which were chosen when and why, and what the others are worth.")
        spec.exit_code(500, "ERROR_BAD_INPUT", message="{message}")
        spec.exit_code(505, "ERROR_SELECTOR_MISSING", message="{message}")
        spec.exit_code(506, "ERROR_KILLED", message="{message}")
        spec.exit_code(510, "ERROR_UNEXPECTED", message="select_structures failed: {message}")

    def write_files(self) -> None:
        """Write the files of the job."""
        sides = {f"{CANDIDATE}{label}": node for label, node in self.inputs.candidates.items()}
        sides |= {f"{OF_KNOWN}{label}": node for label, node in self.inputs.get("known", {}).items()}
        files = write_selection_files(count=self.inputs.count, settings=self.inputs.settings, **sides)
        resources = ResourcesConfig.model_validate(self.inputs.resources.get_dict())
        options = [] if resources.cores is None else ["--workers", str(resources.cores)]
        nodes = {name: files[name] for name in _FILENAMES if name in files}
        self.ctx.inputs = AttributeDict(
            {
                "code": self.inputs.code,
                "nodes": nodes,
                "filenames": {name: _FILENAMES[name] for name in nodes},
                "arguments": [*options, *(f"{{{name}}}" for name in nodes)],
                "outputs": [SELECTION],
                "parser": PARSER,
                "metadata": job_metadata(self.inputs.resources, redirect_stderr=True, additional_retrieve=[FAILURE]),
            }
        )

    def results(self) -> None:
        """Attach the structures that the last job chose."""
        selection = self.ctx.children[-1].outputs[link_label(SELECTION)]
        outputs = take_selected(selection, **self.inputs.candidates)
        self.out("report", outputs.pop("report"))
        self.out("selected", outputs)
        self.report(f"{count_frames(outputs)} of {count_frames(self.inputs.candidates)} structures chosen")


def _validate_count(count: Int | None, _: object) -> str | None:
    return "count must be at least 1" if count is not None and count.value < 1 else None


_FILENAMES = {"settings": SETTINGS, "candidates": CANDIDATES, "known": KNOWN}
"""Names of the files of a job, by the name of their node."""
