"""WorkChain that validates a potential against its oracle."""

from __future__ import annotations

from aiida.engine import ExitCode, ProcessSpec, ToContext, WorkChain
from aiida.orm import (
    AbstractCode,
    ArrayData,
    Bool,
    Dict,
    List,
    SinglefileData,
    Str,
    TrajectoryData,
)
from aiida_shell import ShellJob

from ..config.schemas.validation import ValidationConfig
from ..dataset.frame_files import count_structures
from ..host.workarounds.lost_connection import WithWorkarounds
from ..oracle.workchain import LabellingWorkChain
from ..programs.catalogue import VALIDATE_POTENTIAL
from ..programs.failures import failed_and_uncached, failure_of, reason_of
from ..programs.program import output_file
from ..programs.resources import validate_resources
from ..programs.settings import validates
from ..programs.submit_once import submit_once
from .calcfunctions import (
    ORACLE,
    PHASE,
    POTENTIAL,
    assess_potential,
    attach_predictions,
    make_crystals,
    plan_structures,
    write_evaluation_files,
)
from .job import DYNAMICS, LABELS, equilibrium_job, evaluation_job


class ValidationWorkChain(WithWorkarounds, WorkChain):
    """Validates a potential against its oracle, on structures at the lattice constants of the potential."""

    @classmethod
    def define(cls, spec: ProcessSpec) -> None:
        """Declare inputs, outline, outputs and exit codes."""
        super().define(spec)
        spec.input("potential", valid_type=SinglefileData, help="The potential, a `.yace` file.")
        spec.input_namespace(
            "active_set",
            dynamic=True,
            valid_type=SinglefileData,
            required=False,
            help="The files `yaml` and `asi` of the potential, for extrapolation grades.",
        )
        spec.input("elements", valid_type=List, help="The elements of the validation.")
        spec.input(
            "settings",
            valid_type=Dict,
            validator=validates(ValidationConfig),
            help="Settings of the validation: a `ValidationConfig` as dictionary.",
        )
        spec.input_namespace(
            "phases",
            dynamic=True,
            valid_type=TrajectoryData,
            required=False,
            help="The user's structures; those with the role `phase` are validated.",
        )
        spec.input("type", valid_type=Str, help="Type of the oracle.")
        spec.expose_inputs(LabellingWorkChain, include=("oracle",))
        spec.input("reuse", valid_type=Bool, default=lambda: Bool(True), help="Whether to reuse labels.")
        spec.input(
            "resources",
            valid_type=Dict,
            validator=validate_resources,
            help="Resources of the evaluation: a `ResourcesConfig` as dictionary.",
        )
        spec.input("code", valid_type=AbstractCode, help="The portable code `validate_potential`.")

        spec.outline(
            cls.find_equilibrium,
            cls.plan,
            cls.label_and_evaluate,
            cls.compare,
        )

        spec.output_namespace(
            "labelled",
            valid_type=TrajectoryData,
            dynamic=True,
            help="The structures with labels of the oracle: trajectories by name.",
        )
        spec.output_namespace(
            "predicted",
            valid_type=TrajectoryData,
            dynamic=True,
            help="The structures with energies, forces and stresses of the potential: trajectories by name.",
        )
        spec.output(
            "oracle_report", valid_type=Dict, help="Counts of structures, labels, reused labels; failed labels."
        )
        spec.output(
            "validation", valid_type=Dict, help="The verdict `passed`, the `checks`, the `curves` and the `settings`."
        )
        spec.output("arrays", valid_type=ArrayData, help="The curves, and the records of the dynamics.")
        VALIDATE_POTENTIAL.declare_exit_codes(spec)
        spec.exit_code(410, "ERROR_ORACLE_FAILED", message="labelling failed: {reason}")

    def find_equilibrium(self) -> ToContext | ExitCode:
        """Submit the job that finds the energy minima of the crystals by the potential."""
        crystals, node = make_crystals.run_get_node(self.inputs.elements, self.inputs.settings, **self._phases)
        if failed_and_uncached(node):
            return VALIDATE_POTENTIAL.exit_code(self, "bad_input", node.exit_message)
        job = equilibrium_job(self.inputs.code, self.inputs.resources, self.inputs.potential, crystals)
        return ToContext(equilibrium=submit_once(self, ShellJob, "equilibrium", **job))

    def plan(self) -> ExitCode | None:
        """Generate the structures that potential and oracle label."""
        job = self.ctx.equilibrium
        if not job.is_finished_ok:
            return VALIDATE_POTENTIAL.exit_code(self, *failure_of(job))
        self.ctx.structures = plan_structures(*self._settings, **self._phases)
        self.report(f"{count_structures(self.ctx.structures)} structures on which potential and oracle are compared")
        return None

    def label_and_evaluate(self) -> ToContext:
        """Submit the labelling by the oracle, and the evaluation of the potential with its dynamics."""
        labelling = submit_once(
            self,
            LabellingWorkChain,
            "label",
            structures=self.ctx.structures,
            type=self.inputs.type,
            oracle=self.inputs.oracle,
            reuse=self.inputs.reuse,
        )
        files = write_evaluation_files(*self._settings, **self.ctx.structures, **self._named_phases)
        job = evaluation_job(
            self.inputs.code,
            self.inputs.resources,
            self.inputs.potential,
            files.pop("structures"),
            self.inputs.get("active_set", {}),
            dynamics=files,
        )
        self.ctx.has_dynamics = bool(files)
        evaluation = submit_once(self, ShellJob, "evaluate", **job)
        return ToContext(labelling=labelling, evaluation=evaluation)

    def compare(self) -> ExitCode | None:
        """Compare the labels of potential and oracle, and attach labels and report."""
        labelling, evaluation = self.ctx.labelling, self.ctx.evaluation
        if "report" in labelling.outputs:
            self.out("oracle_report", labelling.outputs.report)
        labelled = dict(labelling.outputs.labelled) if "labelled" in labelling.outputs else {}
        self.out("labelled", labelled)
        if not evaluation.is_finished_ok:
            return VALIDATE_POTENTIAL.exit_code(self, *failure_of(evaluation))
        predicted = attach_predictions(output_file(evaluation, LABELS), **self.ctx.structures)
        self.out("predicted", predicted)
        if not labelled:
            return self.exit_codes.ERROR_ORACLE_FAILED.format(reason=reason_of(labelling))
        if not labelling.is_finished_ok:
            self.report(f"some labels failed: {labelling.exit_message}")
        inputs = {f"{POTENTIAL}{label}": node for label, node in predicted.items()}
        inputs |= {f"{ORACLE}{label}": node for label, node in labelled.items()}
        if self.ctx.has_dynamics:
            inputs["dynamics"] = output_file(evaluation, DYNAMICS)
        outputs = assess_potential(*self._settings, **inputs, **self._named_phases)
        self.out("validation", outputs["validation"])
        self.out("arrays", outputs["arrays"])
        return None

    @property
    def _settings(self) -> tuple[List, Dict, Dict]:
        return self.inputs.elements, self.inputs.settings, self.ctx.equilibrium.outputs.equilibrium

    @property
    def _phases(self) -> dict[str, TrajectoryData]:
        return dict(self.inputs.get("phases", {}))

    @property
    def _named_phases(self) -> dict[str, TrajectoryData]:
        return {f"{PHASE}{label}": node for label, node in self._phases.items()}
