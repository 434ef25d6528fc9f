"""Active learning: rounds of exploration, selection, labelling and training until target or budget is reached."""

from __future__ import annotations

from collections.abc import Mapping

from aiida.common import AttributeDict
from aiida.engine import ExitCode, ProcessSpec, ToContext, if_, while_
from aiida.orm import AbstractCode, Bool, Data, Dict, Float, Int, List, ProcessNode, Str, TrajectoryData
from aiida_shell import ShellJob

from ..config.schemas.pipeline import PipelineConfig
from ..dataset.calcfunctions import curate_labels
from ..dataset.frame_files import count_structures
from ..exploration.workchain import ExplorationWorkChain
from ..host.workarounds.lost_connection import WithWorkarounds
from ..learning.calcfunctions import (
    add_failed_round,
    add_round,
    begin_history,
    conclude,
    lower_limit,
    sum_reports,
    write_structures,
)
from ..learning.history import limit_may_be_lowered, target_reached
from ..oracle.workchain import LabellingWorkChain
from ..programs.failures import failed_and_uncached, failure_of, reason_of
from ..programs.program import output_file
from ..programs.settings import validates
from ..programs.submit_once import submit_once
from ..provenance.calls import called_by
from ..selection.workchain import SelectionWorkChain
from ..training.workchain import OUTPUTS, PaceTrainWorkChain
from ..validation.job import LABELS, evaluation_job
from .one_shot import OneShotWorkChain
from .run_with_teacher import declare_teacher, prior_of
from .run_with_validation import RunWithValidation

MAX_FAILED_ROUNDS = 2
"""Maximum number of consecutive rounds in which all labels fail."""

CUTOFF_GROWTH = 2.0
"""Growth factor of the dataset after which the cutoff is optimised again instead of taken from the last fit."""


class ActiveLearningWorkChain(WithWorkarounds, RunWithValidation):
    """Makes a potential from elements and a reference method by active learning."""

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
            help="Labelled structures added to the dataset of each round.",
        )
        spec.expose_inputs(PaceTrainWorkChain, namespace="trainer", include=("code", "resources"))
        spec.input("selector", valid_type=AbstractCode, help="The portable code `select_structures`.")
        spec.input("explorer", valid_type=AbstractCode, help="The portable code `explore_structures`.")
        spec.input("validator", valid_type=AbstractCode, help="The portable code `validate_potential`.")
        declare_teacher(spec)
        spec.input("validate", valid_type=Bool, default=lambda: Bool(False), help="Whether to validate the potential.")
        spec.input_namespace(
            "previous", required=False, populate_defaults=False, help="State of the run that this run continues."
        )
        spec.input("previous.history", valid_type=Dict, help="The output `learning` of that run.")
        spec.input("previous.oracle_report", valid_type=Dict, help="The sum of the reports of the oracle in that run.")
        spec.input_namespace(
            "previous.labelled", valid_type=TrajectoryData, dynamic=True, help="All labelled structures of that run."
        )
        spec.input_namespace("previous.fit", valid_type=Data, dynamic=True, help="Outputs of the last fit of that run.")
        spec.input_namespace(
            "previous.teacher", valid_type=Data, dynamic=True, required=False, help="The outputs `teacher` of that run."
        )

        spec.outline(
            if_(cls.is_new)(
                cls.start,
                cls.begin,
            ).else_(
                cls.take_over,
            ),
            while_(cls.should_continue)(
                cls.explore,
                cls.inspect_exploration,
                if_(cls.has_candidates)(
                    cls.select,
                    cls.label,
                    cls.inspect_labels,
                    if_(cls.has_labels)(
                        cls.curate,
                        cls.evaluate_and_train,
                        cls.record,
                    ),
                ),
            ),
            cls.results,
            if_(cls.should_validate)(
                cls.validate,
                cls.attach_verdict,
            ),
        )

        spec.output_namespace(
            "dataset", valid_type=TrajectoryData, dynamic=True, help="The curated dataset: trajectories by name."
        )
        spec.output(
            "oracle_report",
            valid_type=Dict,
            help="Of all rounds: number of requested and labelled structures, and failed labels with reasons.",
        )
        spec.output(
            "curation_report", valid_type=Dict, help="Number of kept structures, and rejected ones with reasons."
        )
        spec.expose_outputs(PaceTrainWorkChain, exclude=("remote_folder", "retrieved"))
        spec.output(
            "learning", valid_type=Dict, help="`rounds`, `points` of grade and error, and `ended`, the stop reason."
        )
        spec.output(
            "validation", valid_type=Dict, required=False, help="The verdict on the potential, if it was validated."
        )
        spec.exit_code(400, "ERROR_START_FAILED", message="the initial potential failed: {reason}")
        spec.exit_code(410, "ERROR_ORACLE_FAILED", message="labelling failed: {reason}")
        spec.exit_code(420, "ERROR_CURATION_FAILED", message="{reason}")
        spec.exit_code(430, "ERROR_TRAINING_FAILED", message="training failed: {reason}")
        spec.exit_code(
            440,
            "ERROR_NOT_VALIDATED",
            message="the potential was fitted, but its validation could not be computed: {reason}",
        )
        spec.exit_code(450, "ERROR_EXPLORATION_FAILED", message="exploration failed: {reason}")
        spec.exit_code(460, "ERROR_SELECTION_FAILED", message="selection failed: {reason}")
        spec.exit_code(470, "ERROR_EVALUATION_FAILED", message="the potential could not be evaluated: {reason}")

    @property
    def fit(self) -> Mapping[str, Data]:
        """The outputs of the last fit."""
        return self.ctx.fit

    def is_new(self) -> bool:
        """Tell whether the run starts without a previous run."""
        return "previous" not in self.inputs

    def start(self) -> ToContext:
        """Make the initial potential from generated structures."""
        config = self.config
        count = config.learning.start_for(config.elements)
        generator = config.generator.model_copy(update={"count": count})
        node = submit_once(
            self,
            OneShotWorkChain,
            "start",
            config=Dict(config.model_copy(update={"generator": generator}).model_dump(mode="json")),
            oracle=self.inputs.oracle,
            trainer=self.exposed_inputs(PaceTrainWorkChain, "trainer"),
            selector=self.inputs.selector,
            initial_dataset=self.inputs.get("initial_dataset", {}),
            seeds=self.inputs.get("seeds", {}),
            **({"teacher": self.inputs.teacher} if "teacher" in self.inputs else {}),
        )
        return ToContext(start=node)

    def begin(self) -> ExitCode | None:
        """Store dataset, fit and history of the initial potential in the context."""
        start = self.ctx.start
        if not start.is_finished_ok:
            return self.exit_codes.ERROR_START_FAILED.format(reason=reason_of(start))
        labelling = called_by(start)["label"]
        self._store_labels(labelling, "start")
        self.ctx.fit, self.ctx.dataset = _fit_of(start.outputs), dict(start.outputs.dataset)
        self.ctx.curation_report = start.outputs.curation_report
        self.ctx.teacher = AttributeDict(start.outputs.teacher if "teacher" in start.outputs else {})
        # The number of structures for which the cutoff was optimised last.
        self.ctx.cutoff_of = count_structures(self.ctx.dataset)
        limit = Float(self.config.exploration.select_grade)
        self.ctx.history = begin_history(labelling.outputs.report, start.outputs.metrics, limit)
        return None

    def take_over(self) -> ExitCode | None:
        """Store labels, fit and history of the previous run in the context."""
        previous = self.inputs.previous
        self.ctx.labelled = AttributeDict({f"previous_{label}": node for label, node in previous.labelled.items()})
        self.ctx.reports = AttributeDict({"previous": previous.oracle_report})
        self.ctx.fit, self.ctx.history = _fit_of(previous.fit), previous.history
        self.ctx.teacher = AttributeDict(previous.get("teacher", {}))
        self.ctx.cutoff_of = _size_of_fit(previous.fit["metrics"])
        return self.curate()

    def should_continue(self) -> bool:
        """Tell whether to do another round."""
        return self._stop_reason() is None

    def explore(self) -> ToContext:
        """Explore with the potential; save structures whose extrapolation grade exceeds the limit."""
        history = self.ctx.history.get_dict()
        idle = history.get("idle", 0)
        node = submit_once(
            self,
            ExplorationWorkChain,
            self._label_of("explore"),
            potential_yaml=self.ctx.fit["potential_yaml"],
            active_set=self.ctx.fit["active_set"],
            elements=List(sorted(self.config.elements)),
            settings=Dict(self.config.exploration.model_dump(mode="json")),
            starts=self.inputs.get("seeds", {}),
            select_grade=Float(min(history["select_grade"], self.config.exploration.stop_grade)),
            round=Int(len(history["rounds"]) + idle),
            resources=self.inputs.trainer.resources,
            code=self.inputs.explorer,
        )
        return ToContext(exploration=node)

    def inspect_exploration(self) -> ExitCode | None:
        """Count the saved structures; without any, lower the limit or stop."""
        exploration = self.ctx.exploration
        if not exploration.is_finished_ok:
            return self._fail(self.exit_codes.ERROR_EXPLORATION_FAILED, exploration)
        self.ctx.candidates = dict(exploration.outputs.candidates) if "candidates" in exploration.outputs else {}
        self.report(f"round {self._round}: {count_structures(self.ctx.candidates)} candidates saved by the exploration")
        return None if self.ctx.candidates else self._lower_limit_or_stop()

    def has_candidates(self) -> bool:
        """Tell whether exploration has saved structures."""
        return bool(self.ctx.candidates)

    def select(self) -> ToContext:
        """Select the structures to label, none at random: exploration saves only structures with a large grade."""
        config = self.config
        selection = config.selection.model_copy(update={"representative": 0.0})
        remaining = config.learning.max_labels_for(config.elements) - self.ctx.history["asked"]
        node = submit_once(
            self,
            SelectionWorkChain,
            self._label_of("select"),
            candidates=self.ctx.candidates,
            known=self.ctx.dataset,
            count=Int(min(config.learning.labels_per_round, remaining)),
            settings=Dict(selection.model_dump(mode="json")),
            resources=self.inputs.trainer.resources,
            code=self.inputs.selector,
        )
        return ToContext(selection=node)

    def label(self) -> ToContext | ExitCode | None:
        """Compute the labels that do not exist yet; if all candidates are known, lower the limit or stop."""
        selection, config = self.ctx.selection, self.config
        if selection.exit_status == SelectionWorkChain.exit_codes.ERROR_NOTHING_NEW.status:
            self.report(f"round {self._round}: {selection.exit_message}")
            self.ctx.candidates = {}
            return self._lower_limit_or_stop()
        if not selection.is_finished_ok:
            return self._fail(self.exit_codes.ERROR_SELECTION_FAILED, selection)
        node = submit_once(
            self,
            LabellingWorkChain,
            f"label_{self._round}",
            structures=selection.outputs.selected,
            type=Str(config.oracle.type),
            oracle=self.inputs.oracle,
            reuse=Bool(config.oracle.reuse),
        )
        return ToContext(labelling=node)

    def inspect_labels(self) -> ExitCode | None:
        """Store the new labels in the context; all may fail, because exploration finds unusual structures."""
        if not self.ctx.candidates:
            # All were known: there is no labelling, or only that of an earlier round.
            self.ctx.fresh = {}
            return None
        labelling = self.ctx.labelling
        if "report" not in labelling.outputs:
            return self._fail(self.exit_codes.ERROR_ORACLE_FAILED, labelling)
        self.ctx.fresh = dict(labelling.outputs.labelled) if "labelled" in labelling.outputs else {}
        self._store_labels(labelling, f"round{self._round}")
        if self.ctx.fresh:
            self.ctx.failed_rounds = 0
            return None
        # A checkpoint of an older version has no such entry.
        self.ctx.failed_rounds = self.ctx.get("failed_rounds", 0) + 1
        reports = self.ctx.exploration.outputs.report, labelling.outputs.report
        self.ctx.history = add_failed_round(self.ctx.history, *reports)
        if self.ctx.failed_rounds >= MAX_FAILED_ROUNDS:
            return self._fail(self.exit_codes.ERROR_ORACLE_FAILED, labelling)
        return None

    def has_labels(self) -> bool:
        """Tell whether the round has new labels."""
        return bool(self.ctx.fresh)

    def curate(self) -> ExitCode | None:
        """Curate all labels into a dataset."""
        config = self.config
        outputs, node = curate_labels.run_get_node(
            settings=Dict(config.curation.model_dump(mode="json")),
            test_fraction=Float(config.training.test_fraction),
            seed=Int(config.training.seed),
            **self.ctx.labelled,
            **self.inputs.get("initial_dataset", {}),
        )
        if failed_and_uncached(node):
            return self._fail(self.exit_codes.ERROR_CURATION_FAILED, node)
        self.ctx.curation_report = outputs.pop("report")
        self.ctx.dataset = outputs
        return None

    def evaluate_and_train(self) -> ToContext:
        """Evaluate the last potential on the new labels; at the same time fit the next potential."""
        fit, training = self.ctx.fit, self.config.training
        job = evaluation_job(
            self.inputs.validator,
            self.inputs.trainer.resources,
            fit["potential"],
            write_structures(**self.ctx.fresh),
            {"yaml": fit["potential_yaml"], "asi": fit["active_set"]},
            dynamics={},
        )
        size = count_structures(self.ctx.dataset)
        if training.cutoff == "auto" and size < CUTOFF_GROWTH * self.ctx.cutoff_of:
            training = training.model_copy(update={"cutoff": fit["metrics"]["cutoff_A"]})
        else:
            self.ctx.cutoff_of = size
        trainer = submit_once(
            self,
            PaceTrainWorkChain,
            f"train_{self._round}",
            dataset=self.ctx.dataset,
            settings=Dict(training.model_dump(mode="json")),
            **self.exposed_inputs(PaceTrainWorkChain, "trainer"),
            max_iterations=Int(1 + training.max_restarts),
            **prior_of(self.config, self.ctx.get("teacher", {})),
        )
        evaluation = submit_once(self, ShellJob, f"evaluate_{self._round}", **job)
        return ToContext(evaluation=evaluation, trainer=trainer)

    def record(self) -> ExitCode | None:
        """Add the round to the history, with the relation of grade and error, and store the new fit."""
        trainer, evaluation = self.ctx.trainer, self.ctx.evaluation
        if not trainer.is_finished_ok:
            return self._fail(self.exit_codes.ERROR_TRAINING_FAILED, trainer)
        if not evaluation.is_finished_ok:
            _, reason = failure_of(evaluation)
            self._attach()
            return self.exit_codes.ERROR_EVALUATION_FAILED.format(reason=reason)
        self.ctx.history = add_round(
            self.ctx.history,
            self.ctx.exploration.outputs.report,
            self.ctx.labelling.outputs.report,
            output_file(evaluation, LABELS),
            self.ctx.fit["metrics"],
            trainer.outputs.metrics,
            Dict(self.config.learning.model_dump(mode="json")),
            **self.ctx.fresh,
        )
        self.ctx.fit = _fit_of(trainer.outputs)
        return None

    def results(self) -> None:
        """Attach the potential and its history."""
        self._attach(self._stop_reason())

    def should_validate(self) -> bool:
        """Tell whether to validate the potential."""
        return bool(self.inputs.validate.value)

    @property
    def _round(self) -> int:
        """The number of the current round; the start is round 0 of the history."""
        return len(self.ctx.history["rounds"])

    def _label_of(self, step: str) -> str:
        """Return the label of the call of a step that a round may repeat, with another limit."""
        idle = self.ctx.history.get_dict().get("idle", 0)
        return f"{step}_{self._round}{f'_{idle}' if idle else ''}"

    def _lower_limit_or_stop(self) -> ExitCode | None:
        """Lower the limit, or stop, after an exploration without new structures; fail if samplers did not finish."""
        if not self.ctx.exploration.outputs.report["complete"]:
            self._attach()
            return self.exit_codes.ERROR_EXPLORATION_FAILED.format(
                reason="its jobs were killed before all samplers had finished"
            )
        if limit_may_be_lowered(self.ctx.history.get_dict()):
            self.ctx.history = lower_limit(self.ctx.history)
        else:
            self.ctx.ended = "explored"
        return None

    def _store_labels(self, labelling: ProcessNode, name: str) -> None:
        """Store labels and report of a labelling in the context."""
        self.ctx.setdefault("labelled", AttributeDict())
        self.ctx.setdefault("reports", AttributeDict())
        for label, node in labelling.outputs.labelled.items() if "labelled" in labelling.outputs else ():
            self.ctx.labelled[f"{name}_{label}"] = node
        self.ctx.reports[name] = labelling.outputs.report

    def _fail(self, code: ExitCode, process: ProcessNode) -> ExitCode:
        """Attach the last potential, which remains usable, and return the exit code with its reason."""
        self._attach()
        return code.format(reason=reason_of(process))

    def _stop_reason(self) -> str | None:
        """Return why no other round follows, or None."""
        config, history = self.config, self.ctx.history.get_dict()
        if self.ctx.get("ended") is not None:
            return str(self.ctx.ended)
        if target_reached(history, config.learning):
            return "target"
        return "budget" if history["asked"] >= config.learning.max_labels_for(config.elements) else None

    def _attach(self, stop_reason: str | None = None) -> None:
        """Attach all outputs: the last potential, the dataset, and the reports; without a stop reason, the run has failed."""
        self.out_many(self.ctx.fit)
        self.out("dataset", self.ctx.dataset)
        self.out("curation_report", self.ctx.curation_report)
        # A checkpoint of an older version has no such entry.
        if teacher := self.ctx.get("teacher", {}):
            self.out("teacher", teacher)
        self.out("oracle_report", sum_reports(**self.ctx.reports))
        exploration = {"report": self.ctx.exploration.outputs.report} if stop_reason == "explored" else {}
        self.out("learning", conclude(self.ctx.history, Str(stop_reason or "failed"), **exploration))


def _fit_of(outputs: Mapping[str, Data]) -> AttributeDict:
    """Return those outputs that belong to the fit."""
    return AttributeDict({name: outputs[name] for name in (*OUTPUTS, "metrics")})


def _size_of_fit(metrics: Dict) -> int:
    """Return the number of training and test structures of a fit."""
    parts = metrics["train"], metrics.get("test_with_overlap") or metrics["test"]
    return sum(int(part["n_structures"]) for part in parts if part)
