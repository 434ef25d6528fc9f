"""The validation of a potential by its own oracle."""

from __future__ import annotations

from collections.abc import Mapping

from aiida.engine import ExitCode, ProcessSpec, ToContext, WorkChain
from aiida.orm import (
    AbstractCode,
    ArrayData,
    Bool,
    CalcJobNode,
    Data,
    Dict,
    List,
    SinglefileData,
    Str,
    TrajectoryData,
)
from aiida_shell import ShellJob

from ..config.schemas.pipeline import PipelineConfig
from ..config.schemas.validation import ValidationConfig
from ..dataset.trajectory import count_frames
from ..explained import failure_of
from ..jobs import validate_resources, validates
from ..oracle.labelling import LabellingWorkChain
from ..validation.job import DYNAMICS, LABELS, equilibrium_job, evaluation_job, output_of
from ..validation.process import (
    ORACLE,
    POTENTIAL,
    assess_potential,
    attach_predictions,
    make_crystals,
    plan_structures,
    write_evaluation_files,
)
from ..worker import EndsWithBroker


class ValidationWorkChain(EndsWithBroker, WorkChain):
    """A potential against its own oracle, on structures that the potential's own minima define."""

    @classmethod
    def define(cls, spec: ProcessSpec) -> None:
        """Declare inputs, outline, outputs and exit codes."""
        super().define(spec)
        spec.input("potential", valid_type=SinglefileData, help="The potential, a `.yace` file.")
        spec.input_namespace(
            "active_set", dynamic=True, valid_type=SinglefileData, required=False, help="`yaml` and `asi`, for grades."
        )
        spec.input("elements", valid_type=List, help="The elements to validate it for.")
        spec.input("settings", valid_type=Dict, validator=validates(ValidationConfig), help="A `ValidationConfig`.")
        spec.input("type", valid_type=Str, help="Type of the oracle.")
        spec.input_namespace("oracle", valid_type=Data, dynamic=True, help="Its inputs, but for the structures.")
        spec.input("reuse", valid_type=Bool, default=lambda: Bool(True), help="Whether to take labels that exist.")
        spec.input("resources", valid_type=Dict, validator=validate_resources, help="A `ResourcesConfig`.")
        spec.input("code", valid_type=AbstractCode, help="The portable code `validate_potential`.")

        spec.outline(
            cls.find_equilibrium,
            cls.plan,
            cls.label_and_evaluate,
            cls.compare,
        )

        spec.output_namespace("labelled", valid_type=TrajectoryData, dynamic=True, help="By the oracle, by label.")
        spec.output_namespace("predicted", valid_type=TrajectoryData, dynamic=True, help="By the potential, by label.")
        spec.output("oracle_report", valid_type=Dict, help="Asked, labelled, reused, failed with reasons.")
        spec.output("validation", valid_type=Dict, help="`passed`, `checks`, `curves`, `settings`.")
        spec.output("arrays", valid_type=ArrayData, help="The curves, and what dynamics recorded.")
        spec.exit_code(400, "ERROR_POTENTIAL_UNUSABLE", message="{message}")
        spec.exit_code(401, "ERROR_EVALUATOR_MISSING", message="{message}")
        spec.exit_code(402, "ERROR_EVALUATION_FAILED", message="validate_potential failed: {message}")
        spec.exit_code(410, "ERROR_ORACLE_FAILED", message="labelling failed: {reason}")

    def find_equilibrium(self) -> ToContext:
        """Ask the potential at which sizes crystals have their energy's minimum."""
        crystals = make_crystals(self.inputs.elements, self.inputs.settings)
        job = equilibrium_job(self.inputs.code, self.inputs.resources, self.inputs.potential, crystals)
        return ToContext(equilibrium=self.submit(ShellJob, **job))

    def plan(self) -> ExitCode | None:
        """Make the structures that both sides label."""
        job = self.ctx.equilibrium
        if not job.is_finished_ok:
            return self._explain(job)
        self.ctx.structures = plan_structures(*self._settings)
        self.report(f"{count_frames(self.ctx.structures)} structures to compare on")
        return None

    def label_and_evaluate(self) -> ToContext:
        """Ask the oracle for labels; at the same time evaluate the potential, and run its dynamics."""
        labelling = self.submit(
            LabellingWorkChain,
            structures=self.ctx.structures,
            type=self.inputs.type,
            oracle=self.inputs.oracle,
            reuse=self.inputs.reuse,
            metadata={"call_link_label": "label"},
        )
        files = write_evaluation_files(*self._settings, **self.ctx.structures)
        job = evaluation_job(
            self.inputs.code,
            self.inputs.resources,
            self.inputs.potential,
            files.pop("structures"),
            self.inputs.get("active_set", {}),
            dynamics=files,
        )
        self.ctx.has_dynamics = bool(files)
        evaluation = self.submit(ShellJob, **job)
        return ToContext(labelling=labelling, evaluation=evaluation)

    def compare(self) -> ExitCode | None:
        """Compare what both sides say, and attach it all."""
        labelling, evaluation = self.ctx.labelling, self.ctx.evaluation
        if "report" in labelling.outputs:
            self.out("oracle_report", labelling.outputs.report)
        labelled = dict(labelling.outputs.labelled) if "labelled" in labelling.outputs else {}
        self.out("labelled", labelled)
        if not evaluation.is_finished_ok:
            return self._explain(evaluation)
        predicted = attach_predictions(output_of(evaluation, LABELS), **self.ctx.structures)
        self.out("predicted", predicted)
        if not labelled:
            reason = labelling.exit_message or labelling.process_state
            return self.exit_codes.ERROR_ORACLE_FAILED.format(reason=reason)
        if not labelling.is_finished_ok:
            self.report(f"some structures have no label: {labelling.exit_message}")
        sides = {f"{POTENTIAL}{label}": node for label, node in predicted.items()}
        sides |= {f"{ORACLE}{label}": node for label, node in labelled.items()}
        if self.ctx.has_dynamics:
            sides["dynamics"] = output_of(evaluation, DYNAMICS)
        outputs = assess_potential(*self._settings, **sides)
        self.out("validation", outputs["validation"])
        self.out("arrays", outputs["arrays"])
        return None

    @property
    def _settings(self) -> tuple[List, Dict, Dict]:
        return self.inputs.elements, self.inputs.settings, self.ctx.equilibrium.outputs.equilibrium

    def _explain(self, job: CalcJobNode) -> ExitCode:
        """Pass on what `validate_potential` said."""
        kind, message = failure_of(job)
        codes = {
            "potential_unusable": self.exit_codes.ERROR_POTENTIAL_UNUSABLE,
            "not_installed": self.exit_codes.ERROR_EVALUATOR_MISSING,
        }
        return codes.get(kind, self.exit_codes.ERROR_EVALUATION_FAILED).format(message=message)


class ValidatedRun(WorkChain):
    """Base of runs by a `PipelineConfig` whose potential may be validated in the end."""

    @property
    def config(self) -> PipelineConfig:
        """The settings of the run."""
        return PipelineConfig.model_validate(self.inputs.config.get_dict())

    @property
    def fit(self) -> Mapping[str, Data]:
        """The outputs of the fit that made the potential."""
        raise NotImplementedError

    def validate(self) -> ToContext:
        """Validate the potential by the oracle that labelled its structures."""
        config, fit = self.config, self.fit
        node = self.submit(
            ValidationWorkChain,
            potential=fit["potential"],
            active_set={"yaml": fit["potential_yaml"], "asi": fit["active_set"]},
            elements=List(sorted(config.elements)),
            settings=Dict(config.validation.model_dump(mode="json")),
            type=Str(config.oracle.type),
            oracle=self.inputs.oracle,
            reuse=Bool(config.oracle.reuse),
            resources=self.inputs.trainer.resources,
            code=self.inputs.validator,
            metadata={"call_link_label": "validate"},
        )
        return ToContext(validation=node)

    def attach_verdict(self) -> ExitCode | None:
        """Attach the verdict, whatever it is: a potential that is no good is a result too."""
        validation = self.ctx.validation
        if not validation.is_finished_ok:
            reason = validation.exit_message or validation.process_state
            return self.exit_codes.ERROR_NOT_VALIDATED.format(reason=reason)
        self.out("validation", validation.outputs.validation)
        return None
