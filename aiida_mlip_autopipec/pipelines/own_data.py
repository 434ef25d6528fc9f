"""The fit to the user's own labelled structures: curate, train."""

from __future__ import annotations

from aiida.engine import ExitCode, ProcessSpec, ToContext, WorkChain
from aiida.orm import Dict, Float, Int, SinglefileData, TrajectoryData

from ..config.schemas.pipeline import TrainingRunConfig
from ..dataset.calcfunctions import curate_labels
from ..host.workarounds.lost_connection import EndsWithBroker
from ..programs.calcfunctions import failed
from ..programs.settings import validates
from ..programs.submit_once import submit_once
from ..training.workchain import PaceTrainWorkChain


class OwnDataWorkChain(EndsWithBroker, WorkChain):
    """Fits a potential to labelled structures of the user."""

    @classmethod
    def define(cls, spec: ProcessSpec) -> None:
        """Declare inputs, outline, outputs and exit codes."""
        super().define(spec)
        spec.input(
            "config",
            valid_type=Dict,
            validator=validates(TrainingRunConfig),
            help="Settings of the fit: a `TrainingRunConfig` as dictionary.",
        )
        spec.input(
            "labelled",
            valid_type=SinglefileData,
            help="The labelled structures as one file (ASE trajectory): one node, whatever the number of formulas.",
        )
        spec.expose_inputs(PaceTrainWorkChain, namespace="trainer", include=("code", "resources"))
        spec.outline(cls.curate, cls.train, cls.results)
        spec.output_namespace(
            "dataset", valid_type=TrajectoryData, dynamic=True, help="The curated dataset: trajectories by name."
        )
        spec.output(
            "curation_report", valid_type=Dict, help="Number of kept structures, and rejected ones with reasons."
        )
        spec.expose_outputs(PaceTrainWorkChain, exclude=("remote_folder", "retrieved"))
        spec.exit_code(420, "ERROR_CURATION_FAILED", message="{reason}")
        spec.exit_code(430, "ERROR_TRAINING_FAILED", message="training failed: {reason}")

    @property
    def config(self) -> TrainingRunConfig:
        """The settings of the run."""
        return TrainingRunConfig.model_validate(self.inputs.config.get_dict())

    def curate(self) -> ExitCode | None:
        """Curate the labelled structures into a dataset."""
        config = self.config
        outputs, node = curate_labels.run_get_node(
            settings=Dict(config.curation.model_dump(mode="json")),
            test_fraction=Float(config.test_fraction),
            seed=Int(config.seed),
            labelled=self.inputs.labelled,
        )
        if failed(node):
            return self.exit_codes.ERROR_CURATION_FAILED.format(reason=node.exit_message)
        report = outputs.pop("report")
        self.out("curation_report", report)
        if report["n_train"] == 0:
            rejected = report["rejected"] or "none"
            reason = f"no training structure is left: {report['n_test']} test structures; rejected: {rejected}"
            return self.exit_codes.ERROR_CURATION_FAILED.format(reason=reason)
        self.ctx.dataset = outputs
        self.out("dataset", outputs)
        return None

    def train(self) -> ToContext:
        """Fit the potential."""
        config = self.config
        node = submit_once(
            self,
            PaceTrainWorkChain,
            "train",
            dataset=self.ctx.dataset,
            settings=Dict(config.training().model_dump(mode="json")),
            **self.exposed_inputs(PaceTrainWorkChain, "trainer"),
            max_iterations=Int(1 + config.max_restarts),
        )
        return ToContext(trainer=node)

    def results(self) -> ExitCode | None:
        """Attach the outputs of the fit."""
        trainer = self.ctx.trainer
        if not trainer.is_finished_ok:
            return self.exit_codes.ERROR_TRAINING_FAILED.format(reason=trainer.exit_message or trainer.process_state)
        self.out_many(self.exposed_outputs(trainer, PaceTrainWorkChain))
        return None
