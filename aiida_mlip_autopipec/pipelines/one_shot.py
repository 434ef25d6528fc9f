"""The one-shot pipeline: generate, select, label, curate, train, and optionally validate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.engine import ExitCode, ProcessSpec, ToContext, if_
from aiida.orm import AbstractCode, Bool, Data, Dict, Int, List, SinglefileData, Str, TrajectoryData

from ..config.schemas.pipeline import PipelineConfig
from ..config.schemas.selection import SelectionConfig
from ..config.schemas.training import TrainingConfig
from ..dataset.frame_files import count_structures
from ..generator.calcfunctions import generate_structures
from ..host.workarounds.lost_connection import WithWorkarounds
from ..oracle.workchain import LabellingWorkChain
from ..programs.failures import failed_and_uncached, reason_of
from ..programs.settings import validates
from ..programs.submit_once import submit_once
from ..selection.workchain import SelectionWorkChain
from .run_with_fit import RunWithFit
from .run_with_teacher import RunWithTeacher


class OneShotWorkChain(WithWorkarounds, RunWithTeacher, RunWithFit):
    """Makes a potential from elements and a reference method without active learning."""

    @classmethod
    def define(cls, spec: ProcessSpec) -> None:
        """Declare inputs, outline, outputs and exit codes."""
        super().define(spec)
        spec.input(
            "config",
            valid_type=Dict,
            validator=validates(PipelineConfig),
            help="Settings of the run: a `PipelineConfig` as dictionary.",
        )
        spec.expose_inputs(LabellingWorkChain, include=("oracle",))
        spec.input_namespace(
            "initial_dataset",
            valid_type=TrajectoryData,
            dynamic=True,
            required=False,
            help="Labelled structures added to the dataset.",
        )
        spec.input(
            "selector",
            valid_type=AbstractCode,
            required=False,
            help="The portable code `select_structures`; required unless `selection` of the config is `none`.",
        )
        spec.input(
            "validator",
            valid_type=AbstractCode,
            required=False,
            help="The portable code `validate_potential`; if given, the potential is validated.",
        )

        spec.inputs.validator = _validate_optional_inputs

        spec.outline(
            if_(cls.has_teacher)(
                cls.teach,
                cls.explore_taught,
                cls.attach_teacher,
            ),
            cls.generate,
            if_(cls.should_select)(
                cls.select,
                cls.attach_selected,
            ),
            cls.label,
            cls.curate,
            cls.train,
            cls.results,
            if_(cls.should_validate)(
                cls.validate,
                cls.attach_verdict,
            ),
        )

        spec.output_namespace(
            "pool",
            valid_type=(SinglefileData, TrajectoryData),
            dynamic=True,
            required=False,
            help="The pool of generated structures as one file (ASE trajectory), if there was a selection.",
        )
        spec.output_namespace(
            "structures",
            valid_type=TrajectoryData,
            dynamic=True,
            help="The generated or selected structures: trajectories by name, such as `Cu4_111`.",
        )
        spec.output(
            "selection_report",
            valid_type=Dict,
            required=False,
            help="Selected structures, in the order of selection, with reason and score.",
        )
        spec.output(
            "oracle_report",
            valid_type=Dict,
            help="Number of requested and labelled structures, and failed labels with reasons.",
        )
        spec.output(
            "validation", valid_type=Dict, required=False, help="The verdict on the potential, if it was validated."
        )
        spec.exit_code(400, "ERROR_GENERATION_FAILED", message="{reason}")
        spec.exit_code(405, "ERROR_SELECTION_FAILED", message="selection failed: {reason}")
        spec.exit_code(410, "ERROR_ORACLE_FAILED", message="labelling failed: {reason}")
        spec.exit_code(
            440,
            "ERROR_NOT_VALIDATED",
            message="the potential was fitted, but its validation could not be computed: {reason}",
        )

    @property
    def fit(self) -> Mapping[str, Data]:
        """The outputs of the fit."""
        return self.ctx.trainer.outputs

    @property
    def training(self) -> TrainingConfig:
        """The settings of the fit."""
        return self.config.training

    def generate(self) -> ExitCode | None:
        """Generate the structures to label, or the pool to select from."""
        config = self.config
        selecting = self.should_select()
        outputs, node = generate_structures.run_get_node(
            elements=List(config.elements),
            count=Int(config.generator.count_for(config.elements)),
            settings=Dict(config.generator.model_dump(mode="json", exclude={"count"})),
            **({"selection": Dict(config.selection.model_dump(mode="json"))} if selecting else {}),
            **self.inputs.get("seeds", {}),
        )
        if failed_and_uncached(node):
            return self.exit_codes.ERROR_GENERATION_FAILED.format(reason=node.exit_message)
        self.ctx.structures = outputs
        self.out("pool" if selecting else "structures", outputs)
        self.report(f"{count_structures(outputs)} structures generated")
        return None

    def should_select(self) -> bool:
        """Tell whether to select the structures to label from a pool."""
        return "selector" in self.inputs

    def select(self) -> ToContext:
        """Select the structures to label from the pool and from those that the teacher's potential explored."""
        config = self.config
        node = submit_once(
            self,
            SelectionWorkChain,
            "select",
            candidates=self.candidates,
            known=self.inputs.get("initial_dataset", {}),
            count=Int(config.generator.count_for(config.elements)),
            settings=Dict(config.selection.model_dump(mode="json")),
            resources=self.inputs.trainer.resources,
            code=self.inputs.selector,
        )
        return ToContext(selection=node)

    def attach_selected(self) -> ExitCode | None:
        """Attach the selected structures."""
        selection = self.ctx.selection
        if not selection.is_finished_ok:
            return self.exit_codes.ERROR_SELECTION_FAILED.format(reason=reason_of(selection))
        self.ctx.structures = dict(selection.outputs.selected)
        self.out("structures", self.ctx.structures)
        self.out("selection_report", selection.outputs.report)
        return None

    def label(self) -> ToContext:
        """Compute the labels that do not exist yet."""
        config = self.config
        node = submit_once(
            self,
            LabellingWorkChain,
            "label",
            structures=self.ctx.structures,
            type=Str(config.oracle.type),
            oracle=self.inputs.oracle,
            reuse=Bool(config.oracle.reuse),
        )
        return ToContext(labelling=node)

    def curate(self) -> ExitCode | None:
        """Curate the labelled structures into a dataset."""
        labelling, config = self.ctx.labelling, self.config
        if "report" in labelling.outputs:
            self.out("oracle_report", labelling.outputs.report)
        if not labelling.is_finished_ok:
            return self.exit_codes.ERROR_ORACLE_FAILED.format(reason=reason_of(labelling))
        labelled = {**labelling.outputs.labelled, **self.inputs.get("initial_dataset", {})}
        return self.curate_into_dataset(config.curation, labelled)

    def should_validate(self) -> bool:
        """Tell whether to validate the potential."""
        return "validator" in self.inputs


def _validate_optional_inputs(inputs: Mapping[str, Any], _: object) -> str | None:
    if "config" not in inputs:
        return None
    config = inputs["config"].get_dict()
    if config.get("teacher") is not None and "teacher" not in inputs:
        return "the config names a teacher: give its inputs as `teacher`, or set `teacher` of the config to null"
    method = config.get("selection", {}).get("method", SelectionConfig().method)
    if method == "none" or "selector" in inputs:
        return None
    return (
        f"selection is {method}: give the portable code `select_structures` as `selector`, or set `selection` to none"
    )
