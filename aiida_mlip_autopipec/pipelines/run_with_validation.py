"""Optional validation of the potential at the end of a run with a `PipelineConfig`."""

from __future__ import annotations

from collections.abc import Mapping

from aiida.engine import ExitCode, ProcessSpec, ToContext, WorkChain
from aiida.orm import Bool, Data, Dict, List, Str, TrajectoryData

from ..config.schemas.pipeline import PipelineConfig
from ..programs.failures import reason_of
from ..programs.submit_once import submit_once
from ..validation.workchain import ValidationWorkChain
from .structures import phases_of


class RunWithValidation(WorkChain):
    """Base class of runs with a `PipelineConfig` that may validate their potential."""

    @classmethod
    def define(cls, spec: ProcessSpec) -> None:
        """Declare the input of the user's structures; the phases among them are validated too."""
        super().define(spec)
        spec.input_namespace(
            "seeds",
            valid_type=TrajectoryData,
            dynamic=True,
            required=False,
            help="The user's structures to start from.",
        )

    @property
    def config(self) -> PipelineConfig:
        """The settings of the run."""
        return PipelineConfig.model_validate(self.inputs.config.get_dict())

    @property
    def fit(self) -> Mapping[str, Data]:
        """The outputs of the fit of the potential."""
        raise NotImplementedError

    def validate(self) -> ToContext:
        """Validate the potential with the oracle of the run."""
        config, fit = self.config, self.fit
        node = submit_once(
            self,
            ValidationWorkChain,
            "validate",
            potential=fit["potential"],
            active_set={"yaml": fit["potential_yaml"], "asi": fit["active_set"]},
            elements=List(sorted(config.elements)),
            settings=Dict(config.validation.model_dump(mode="json")),
            type=Str(config.oracle.type),
            oracle=self.inputs.oracle,
            reuse=Bool(config.oracle.reuse),
            **self._phases,
            resources=self.inputs.trainer.resources,
            code=self.inputs.validator,
        )
        return ToContext(validation=node)

    @property
    def _phases(self) -> dict[str, dict[str, TrajectoryData]]:
        """The input `phases` of the validation, if a given structure is a phase."""
        phases = phases_of(self.inputs.get("seeds", {}))
        return {"phases": phases} if phases else {}

    def attach_verdict(self) -> ExitCode | None:
        """Attach the verdict; a negative verdict is no failure of the run."""
        validation = self.ctx.validation
        if not validation.is_finished_ok:
            return self.exit_codes.ERROR_NOT_VALIDATED.format(reason=reason_of(validation))
        self.out("validation", validation.outputs.validation)
        return None
