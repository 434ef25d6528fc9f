"""Optional start of a run: a teacher, which is a cheap method, finds candidates for the labels of the oracle."""

from __future__ import annotations

from collections.abc import Mapping

from aiida.common import AttributeDict
from aiida.engine import ExitCode, ProcessSpec, ToContext
from aiida.orm import AbstractCode, Data, Dict, List, SinglefileData, TrajectoryData

from ..config.schemas.exploration import ExplorationConfig
from ..config.schemas.pipeline import PipelineConfig, StageResources
from ..config.schemas.selection import SelectionConfig
from ..dataset.frame_files import count_structures
from ..exploration.workchain import ExplorationWorkChain
from ..oracle.workchain import LabellingWorkChain
from ..programs.failures import reason_of
from ..programs.submit_once import submit_once
from ..provenance.calls import TEACH
from ..training.workchain import PaceTrainWorkChain
from .run_with_validation import RunWithValidation


def config_of_teacher_run(config: PipelineConfig) -> PipelineConfig:
    """Return the settings of the run in which the teacher is the oracle: it labels all structures that are generated."""
    assert config.teacher is not None
    count = config.teacher.count_for(config.elements)
    return config.model_copy(
        update={
            "oracle": config.teacher.oracle,
            "teacher": None,
            "initial_dataset": [],
            "selection": SelectionConfig(method="none"),
            "generator": config.generator.model_copy(update={"count": count}),
            # The prior is a linear fit.
            "training": config.training.model_copy(update={"engine": "linear"}),
            "resources": StageResources(oracle=config.resources.teacher, trainer=config.resources.trainer),
        }
    )


def prior_of(config: PipelineConfig, outputs: Mapping[str, Data]) -> dict[str, SinglefileData]:
    """Return the input `teacher` of a fit to labels of the oracle from the outputs `teacher`; empty without a prior."""
    if not outputs or config.teacher is None or config.teacher.prior == "none":
        return {}
    return {"teacher": outputs["potential_yaml"]}


def exploration_of_teacher_run(config: PipelineConfig) -> ExplorationConfig:
    """Return the settings of the exploration with the potential of the teacher.

    Samplers stop where the potential extrapolates: beyond, its structures differ from those that the teacher itself would give.
    """
    assert config.teacher is not None
    settings = config.exploration
    return settings.model_copy(
        update={"save_interval": config.teacher.save_interval, "stop_grade": settings.select_grade}
    )


def declare_teacher(spec: ProcessSpec) -> None:
    """Declare the optional inputs and outputs of a teacher."""
    spec.expose_inputs(
        LabellingWorkChain,
        namespace="teacher",
        include=("oracle",),
        namespace_options={"required": False, "populate_defaults": False, "help": "The teacher, as an oracle."},
    )
    spec.input("teacher.explorer", valid_type=AbstractCode, help="The portable code `explore_structures`.")
    spec.output_namespace(
        "teacher",
        valid_type=Data,
        dynamic=True,
        required=False,
        help="Results of the teacher: `potential_yaml` and `metrics` of the fit to its labels, its `oracle_report`, and "
        "`exploration`, the report on the samplers.",
    )


class RunWithTeacher(RunWithValidation):
    """Base class of a run with a `PipelineConfig` that a teacher may start.

    The teacher's fit is a run of the same WorkChain (`type(self)`), with the teacher as its oracle.
    """

    @classmethod
    def define(cls, spec: ProcessSpec) -> None:
        """Declare the inputs, outputs and exit codes of the teacher."""
        super().define(spec)
        declare_teacher(spec)
        spec.exit_code(402, "ERROR_TEACHER_FAILED", message="the teacher failed: {reason}")

    def has_teacher(self) -> bool:
        """Tell whether a teacher starts the run."""
        return "teacher" in self.inputs

    def teach(self) -> ToContext:
        """Fit a potential to labels of the teacher."""
        node = submit_once(
            self,
            type(self),
            TEACH,
            config=Dict(config_of_teacher_run(self.config).model_dump(mode="json")),
            oracle=self.inputs.teacher.oracle,
            trainer=self.exposed_inputs(PaceTrainWorkChain, "trainer"),
            seeds=self.inputs.get("seeds", {}),
        )
        return ToContext(taught=node)

    def explore_taught(self) -> ToContext | ExitCode:
        """Explore with the potential of the teacher."""
        taught, config = self.ctx.taught, self.config
        if not taught.is_finished_ok:
            return self.exit_codes.ERROR_TEACHER_FAILED.format(reason=reason_of(taught))
        node = submit_once(
            self,
            ExplorationWorkChain,
            "explore",
            potential_yaml=taught.outputs.potential_yaml,
            active_set=taught.outputs.active_set,
            elements=List(sorted(config.elements)),
            settings=Dict(exploration_of_teacher_run(config).model_dump(mode="json")),
            starts=self.inputs.get("seeds", {}),
            resources=self.inputs.trainer.resources,
            code=self.inputs.teacher.explorer,
        )
        return ToContext(exploration=node)

    def attach_teacher(self) -> ExitCode | None:
        """Attach the results of the teacher, and store its candidates in the context."""
        taught, exploration = self.ctx.taught.outputs, self.ctx.exploration
        if not exploration.is_finished_ok:
            return self.exit_codes.ERROR_TEACHER_FAILED.format(reason=reason_of(exploration))
        self.ctx.teacher = AttributeDict(
            {name: taught[name] for name in ("potential_yaml", "metrics", "oracle_report")}
        )
        self.ctx.teacher["exploration"] = exploration.outputs.report
        self.out("teacher", self.ctx.teacher)
        self.ctx.explored = dict(exploration.outputs.candidates) if "candidates" in exploration.outputs else {}
        self.report(f"{count_structures(self.ctx.explored)} structures explored with the potential of the teacher")
        return None

    @property
    def prior(self) -> dict[str, SinglefileData]:
        """The input of a fit to labels of the oracle with the potential of the teacher, if it may be its prior."""
        return prior_of(self.config, self.ctx.get("teacher", {}))

    @property
    def candidates(self) -> Mapping[str, SinglefileData | TrajectoryData]:
        """The structures to select from: generated, and explored with the potential of the teacher."""
        return {**self.ctx.structures, **self.ctx.get("explored", {})}
