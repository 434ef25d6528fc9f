"""Active learning: labels for what a potential does not know, until it is good enough."""

from __future__ import annotations

from collections.abc import Mapping

from aiida.common import AttributeDict
from aiida.engine import ExitCode, ProcessSpec, ToContext, if_, while_
from aiida.orm import AbstractCode, Bool, Data, Dict, Float, Int, List, ProcessNode, Str, TrajectoryData
from aiida_shell import ShellJob

from ..config.schemas.pipeline import PipelineConfig
from ..dataset.process import curate_labels
from ..dataset.trajectory import count_frames
from ..explained import failure_of
from ..exploration.workflow import ExplorationWorkChain
from ..jobs import failed, validates
from ..learning.history import may_be_lower, reached
from ..learning.process import (
    add_failed_round,
    add_round,
    begin_history,
    conclude,
    lower_limit,
    sum_reports,
    write_structures,
)
from ..oracle.labelling import LabellingWorkChain
from ..selection.workflow import SelectionWorkChain
from ..trainer.workflow import OUTPUTS, PaceTrainWorkChain
from ..validation.job import LABELS, evaluation_job, output_of
from ..worker import EndsWithBroker
from .one_shot import OneShotWorkChain
from .validation import ValidatedRun

MOST_FRUITLESS = 2
"""Rounds one after the other in which the oracle may fail on every structure."""

CHOOSE_AGAIN = 2.0
"""Growth of the dataset after which the cutoff is chosen anew instead of taken from the last fit."""


class ActiveLearningWorkChain(EndsWithBroker, ValidatedRun):
    """From elements and a reference method to a potential that knows what it may meet."""

    @classmethod
    def define(cls, spec: ProcessSpec) -> None:
        """Declare inputs, outline, outputs and exit codes."""
        super().define(spec)
        spec.input("config", valid_type=Dict, validator=validates(PipelineConfig), help="A `PipelineConfig`.")
        spec.input_namespace("oracle", valid_type=Data, dynamic=True, help="Inputs of the oracle, but for structures.")
        spec.input_namespace(
            "initial_dataset", valid_type=TrajectoryData, dynamic=True, required=False, help="Labels added to all."
        )
        spec.expose_inputs(PaceTrainWorkChain, namespace="trainer", include=("code", "resources"))
        spec.input("selector", valid_type=AbstractCode, help="The portable code `select_structures`.")
        spec.input("explorer", valid_type=AbstractCode, help="The portable code `explore_structures`.")
        spec.input("validator", valid_type=AbstractCode, help="The portable code `validate_potential`.")
        spec.input("validate", valid_type=Bool, default=lambda: Bool(False), help="Whether to validate the potential.")
        spec.input_namespace(
            "previous", required=False, populate_defaults=False, help="A run that this one goes on from."
        )
        spec.input("previous.history", valid_type=Dict, help="Its `learning`.")
        spec.input("previous.oracle_report", valid_type=Dict, help="Its reports of the oracle as one.")
        spec.input_namespace("previous.labelled", valid_type=TrajectoryData, dynamic=True, help="All its labels.")
        spec.input_namespace("previous.fit", valid_type=Data, dynamic=True, help="Outputs of its last fit.")

        spec.outline(
            if_(cls.is_new)(
                cls.start,
                cls.begin,
            ).else_(
                cls.take_over,
            ),
            while_(cls.goes_on)(
                cls.explore,
                cls.inspect_exploration,
                if_(cls.has_met_unknown)(
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
            if_(cls.is_to_be_validated)(
                cls.validate,
                cls.attach_verdict,
            ),
        )

        spec.output_namespace("dataset", valid_type=TrajectoryData, dynamic=True, help="The curated dataset, by label.")
        spec.output("oracle_report", valid_type=Dict, help="Asked, labelled, failed with reasons; of all rounds.")
        spec.output("curation_report", valid_type=Dict, help="Kept, and rejected with reasons.")
        spec.expose_outputs(PaceTrainWorkChain, exclude=("remote_folder", "retrieved"))
        spec.output("learning", valid_type=Dict, help="`rounds`, `points` of grade and error, why it `ended`.")
        spec.output("validation", valid_type=Dict, required=False, help="The verdict on the potential, if asked.")
        spec.exit_code(400, "ERROR_START_FAILED", message="there is no first potential: {reason}")
        spec.exit_code(410, "ERROR_ORACLE_FAILED", message="labelling failed: {reason}")
        spec.exit_code(420, "ERROR_CURATION_FAILED", message="{reason}")
        spec.exit_code(430, "ERROR_TRAINING_FAILED", message="training failed: {reason}")
        spec.exit_code(
            440, "ERROR_NOT_VALIDATED", message="the potential is made, but could not be validated: {reason}"
        )
        spec.exit_code(450, "ERROR_EXPLORATION_FAILED", message="exploration failed: {reason}")
        spec.exit_code(460, "ERROR_SELECTION_FAILED", message="selection failed: {reason}")
        spec.exit_code(470, "ERROR_EVALUATION_FAILED", message="the potential could not be evaluated: {reason}")

    @property
    def fit(self) -> Mapping[str, Data]:
        """The outputs of the last fit."""
        return self.ctx.fit

    def is_new(self) -> bool:
        """Say whether there is nothing yet to go on from."""
        self.ctx.ended, self.ctx.fruitless = None, 0
        return "previous" not in self.inputs

    def start(self) -> ToContext:
        """Make the first potential, of generated structures."""
        config = self.config
        count = config.learning.start_for(config.elements)
        generator = config.generator.model_copy(update={"count": count})
        node = self.submit(
            OneShotWorkChain,
            config=Dict(config.model_copy(update={"generator": generator}).model_dump(mode="json")),
            oracle=self.inputs.oracle,
            trainer=self.exposed_inputs(PaceTrainWorkChain, "trainer"),
            selector=self.inputs.selector,
            initial_dataset=self.inputs.get("initial_dataset", {}),
            metadata={"call_link_label": "start"},
        )
        return ToContext(start=node)

    def begin(self) -> ExitCode | None:
        """Take what the start made."""
        start = self.ctx.start
        if not start.is_finished_ok:
            return self.exit_codes.ERROR_START_FAILED.format(reason=start.exit_message or start.process_state)
        labelling = start.base.links.get_outgoing(link_label_filter="label").one().node
        self._know(labelling, "start")
        self.ctx.fit, self.ctx.dataset = _fit_of(start.outputs), dict(start.outputs.dataset)
        self.ctx.curation_report = start.outputs.curation_report
        self.ctx.cutoff_of = count_frames(self.ctx.dataset)
        limit = Float(self.config.exploration.select_grade)
        self.ctx.history = begin_history(labelling.outputs.report, start.outputs.metrics, limit)
        return None

    def take_over(self) -> ExitCode | None:
        """Take what another run has made."""
        previous = self.inputs.previous
        self.ctx.labelled = AttributeDict({f"previous_{label}": node for label, node in previous.labelled.items()})
        self.ctx.reports = AttributeDict({"previous": previous.oracle_report})
        self.ctx.fit, self.ctx.history = _fit_of(previous.fit), previous.history
        self.ctx.cutoff_of = count_frames(self.ctx.labelled)
        return self.curate()

    def goes_on(self) -> bool:
        """Say whether there is to be another round."""
        config, history = self.config, self.ctx.history.get_dict()
        if self.ctx.ended is None:
            if reached(history, config.learning):
                self.ctx.ended = "target"
            elif history["asked"] >= config.learning.most_for(config.elements):
                self.ctx.ended = "budget"
        return self.ctx.ended is None

    def explore(self) -> ToContext:
        """Let walkers go where the potential takes them, and hand in what it does not know."""
        history = self.ctx.history.get_dict()
        node = self.submit(
            ExplorationWorkChain,
            potential_yaml=self.ctx.fit["potential_yaml"],
            active_set=self.ctx.fit["active_set"],
            elements=List(sorted(self.config.elements)),
            settings=Dict(self.config.exploration.model_dump(mode="json")),
            select_grade=Float(min(history["select_grade"], self.config.exploration.stop_grade)),
            round=Int(len(history["rounds"]) + history.get("idle", 0)),
            resources=self.inputs.trainer.resources,
            code=self.inputs.explorer,
            metadata={"call_link_label": f"explore_{self._round}"},
        )
        return ToContext(exploration=node)

    def inspect_exploration(self) -> ExitCode | None:
        """Count what was handed in."""
        exploration = self.ctx.exploration
        if not exploration.is_finished_ok:
            return self._fail(self.exit_codes.ERROR_EXPLORATION_FAILED, exploration)
        self.ctx.candidates = dict(exploration.outputs.candidates) if "candidates" in exploration.outputs else {}
        if not self.ctx.candidates:
            if not exploration.outputs.report["complete"]:
                self._attach()
                return self.exit_codes.ERROR_EXPLORATION_FAILED.format(
                    reason="its jobs were ended before their walkers"
                )
            if may_be_lower(self.ctx.history.get_dict()):
                self.ctx.history = lower_limit(self.ctx.history)
            else:
                self.ctx.ended = "explored"
        self.report(f"round {self._round}: {count_frames(self.ctx.candidates)} structures beyond the limit")
        return None

    def has_met_unknown(self) -> bool:
        """Say whether there is anything to label."""
        return bool(self.ctx.candidates)

    def select(self) -> ToContext:
        """Choose what is to be labelled."""
        config = self.config
        left = config.learning.most_for(config.elements) - self.ctx.history["asked"]
        node = self.submit(
            SelectionWorkChain,
            candidates=self.ctx.candidates,
            known=self.ctx.dataset,
            count=Int(min(config.learning.labels_per_round, left)),
            settings=Dict(config.selection.model_dump(mode="json")),
            resources=self.inputs.trainer.resources,
            code=self.inputs.selector,
            metadata={"call_link_label": f"select_{self._round}"},
        )
        return ToContext(selection=node)

    def label(self) -> ToContext | ExitCode:
        """Label it by the oracle, save what has labels."""
        selection, config = self.ctx.selection, self.config
        if not selection.is_finished_ok:
            return self._fail(self.exit_codes.ERROR_SELECTION_FAILED, selection)
        node = self.submit(
            LabellingWorkChain,
            structures=selection.outputs.selected,
            type=Str(config.oracle.type),
            oracle=self.inputs.oracle,
            reuse=Bool(config.oracle.reuse),
            metadata={"call_link_label": f"label_{self._round}"},
        )
        return ToContext(labelling=node)

    def inspect_labels(self) -> ExitCode | None:
        """Take what was labelled: on the strange structures that exploration finds, an oracle may fail."""
        labelling = self.ctx.labelling
        if "report" not in labelling.outputs:
            return self._fail(self.exit_codes.ERROR_ORACLE_FAILED, labelling)
        self.ctx.fresh = dict(labelling.outputs.labelled) if "labelled" in labelling.outputs else {}
        self._know(labelling, f"round{self._round}")
        if self.ctx.fresh:
            self.ctx.fruitless = 0
            return None
        self.ctx.fruitless += 1
        reports = self.ctx.exploration.outputs.report, labelling.outputs.report
        self.ctx.history = add_failed_round(self.ctx.history, *reports)
        if self.ctx.fruitless >= MOST_FRUITLESS:
            return self._fail(self.exit_codes.ERROR_ORACLE_FAILED, labelling)
        return None

    def has_labels(self) -> bool:
        """Say whether anything was labelled."""
        return bool(self.ctx.fresh)

    def curate(self) -> ExitCode | None:
        """Make the dataset of all labels."""
        config = self.config
        outputs, node = curate_labels.run_get_node(
            settings=Dict(config.curation.model_dump(mode="json")),
            test_fraction=Float(config.training.test_fraction),
            seed=Int(config.training.seed),
            **self.ctx.labelled,
            **self.inputs.get("initial_dataset", {}),
        )
        if failed(node):
            return self._fail(self.exit_codes.ERROR_CURATION_FAILED, node)
        self.ctx.curation_report = outputs.pop("report")
        self.ctx.dataset = outputs
        return None

    def evaluate_and_train(self) -> ToContext:
        """Ask the potential what it thinks of what it has not seen; at the same time fit the next."""
        fit, training = self.ctx.fit, self.config.training
        job = evaluation_job(
            self.inputs.validator,
            self.inputs.trainer.resources,
            fit["potential"],
            write_structures(**self.ctx.fresh),
            {"yaml": fit["potential_yaml"], "asi": fit["active_set"]},
            dynamics={},
        )
        job["metadata"]["call_link_label"] = f"evaluate_{self._round}"
        size = count_frames(self.ctx.dataset)
        if training.cutoff == "auto" and size < CHOOSE_AGAIN * self.ctx.cutoff_of:
            training = training.model_copy(update={"cutoff": fit["metrics"]["cutoff_A"]})
        else:
            self.ctx.cutoff_of = size
        trainer = self.submit(
            PaceTrainWorkChain,
            dataset=self.ctx.dataset,
            settings=Dict(training.model_dump(mode="json")),
            **self.exposed_inputs(PaceTrainWorkChain, "trainer"),
            max_iterations=Int(1 + training.max_restarts),
            metadata={"call_link_label": f"train_{self._round}"},
        )
        return ToContext(evaluation=self.submit(ShellJob, **job), trainer=trainer)

    def record(self) -> ExitCode | None:
        """Learn what grade meant what error, and take the new potential."""
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
            output_of(evaluation, LABELS),
            self.ctx.fit["metrics"],
            trainer.outputs.metrics,
            Dict(self.config.learning.model_dump(mode="json")),
            **self.ctx.fresh,
        )
        self.ctx.fit = _fit_of(trainer.outputs)
        return None

    def results(self) -> None:
        """Attach the potential, and how it came about."""
        self._attach()

    def is_to_be_validated(self) -> bool:
        """Say whether the potential is to be validated."""
        return bool(self.inputs.validate.value)

    @property
    def _round(self) -> int:
        return len(self.ctx.history["rounds"])

    def _know(self, labelling: ProcessNode, name: str) -> None:
        """Remember the labels and the report of a labelling."""
        self.ctx.setdefault("labelled", AttributeDict())
        self.ctx.setdefault("reports", AttributeDict())
        for label, node in labelling.outputs.labelled.items() if "labelled" in labelling.outputs else ():
            self.ctx.labelled[f"{name}_{label}"] = node
        self.ctx.reports[name] = labelling.outputs.report

    def _fail(self, code: ExitCode, process: ProcessNode) -> ExitCode:
        """Attach the last potential, which is there all the same, and say why there will be no better one."""
        self._attach()
        return code.format(reason=process.exit_message or process.process_state)

    def _attach(self) -> None:
        self.out_many(self.ctx.fit)
        self.out("dataset", self.ctx.dataset)
        self.out("curation_report", self.ctx.curation_report)
        self.out("oracle_report", sum_reports(**self.ctx.reports))
        last = {"report": self.ctx.exploration.outputs.report} if self.ctx.ended == "explored" else {}
        self.out("learning", conclude(self.ctx.history, Str(self.ctx.ended or "failed"), **last))


def _fit_of(outputs: Mapping[str, Data]) -> AttributeDict:
    return AttributeDict({name: outputs[name] for name in (*OUTPUTS, "metrics")})
