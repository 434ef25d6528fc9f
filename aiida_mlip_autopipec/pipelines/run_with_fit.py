"""Curation of the dataset of a run, and fit of its potential."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.engine import ExitCode, ProcessSpec, ToContext, WorkChain
from aiida.orm import Data, Dict, Float, Int, TrajectoryData

from ..config.schemas.curation import CurationConfig
from ..config.schemas.training import TrainingConfig
from ..dataset.calcfunctions import curate_labels
from ..dataset.frame_files import count_structures
from ..programs.failures import failed_and_uncached, reason_of
from ..programs.submit_once import submit_once
from ..training.workchain import PaceTrainWorkChain


class RunWithFit(WorkChain):
    """Base class of runs that curate a dataset, `ctx.dataset`, and fit a potential to it."""

    @classmethod
    def define(cls, spec: ProcessSpec) -> None:
        """Declare the inputs, outputs and exit codes of curation and fit."""
        super().define(spec)
        spec.expose_inputs(PaceTrainWorkChain, namespace="trainer", include=("code", "resources"))
        spec.output_namespace(
            "dataset",
            valid_type=TrajectoryData,
            dynamic=True,
            help="The curated dataset: trajectories by name.",
        )
        spec.output(
            "curation_report", valid_type=Dict, help="Number of kept structures, and rejected ones with reasons."
        )
        spec.expose_outputs(PaceTrainWorkChain, exclude=("remote_folder", "retrieved"))
        spec.exit_code(420, "ERROR_CURATION_FAILED", message="{reason}")
        spec.exit_code(430, "ERROR_TRAINING_FAILED", message="training failed: {reason}")

    @property
    def training(self) -> TrainingConfig:
        """The settings of the fit."""
        raise NotImplementedError

    @property
    def prior(self) -> dict[str, Any]:
        """The input of the fit with a prior; empty without one."""
        return {}

    def curate_into_dataset(self, settings: CurationConfig, labelled: Mapping[str, Data]) -> ExitCode | None:
        """Curate labelled structures into the dataset, and attach it with its report.

        :param labelled: trajectories and files by name.
        """
        outputs, node = curate_labels.run_get_node(
            settings=Dict(settings.model_dump(mode="json")),
            test_fraction=Float(self.training.test_fraction),
            seed=Int(self.training.seed),
            **labelled,
        )
        if failed_and_uncached(node):
            return self.exit_codes.ERROR_CURATION_FAILED.format(reason=node.exit_message)
        report = outputs.pop("report")
        self.out("curation_report", report)
        if report["n_train"] == 0:
            reason = f"no training structure is left: {report['n_test']} test, rejected: {report['rejected'] or 'none'}"
            return self.exit_codes.ERROR_CURATION_FAILED.format(reason=reason)
        self.ctx.dataset = outputs
        self.out("dataset", outputs)
        self.report(f"{count_structures(outputs)} structures in the dataset")
        return None

    def train(self) -> ToContext:
        """Fit the potential."""
        training = self.training
        node = submit_once(
            self,
            PaceTrainWorkChain,
            "train",
            dataset=self.ctx.dataset,
            settings=Dict(training.model_dump(mode="json")),
            **self.exposed_inputs(PaceTrainWorkChain, "trainer"),
            max_iterations=Int(1 + training.max_restarts),
            **self.prior,
        )
        return ToContext(trainer=node)

    def results(self) -> ExitCode | None:
        """Attach the outputs of the fit."""
        trainer = self.ctx.trainer
        if not trainer.is_finished_ok:
            return self.exit_codes.ERROR_TRAINING_FAILED.format(reason=reason_of(trainer))
        self.out_many(self.exposed_outputs(trainer, PaceTrainWorkChain))
        return None
