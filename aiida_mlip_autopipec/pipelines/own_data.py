"""The fit to the user's own labelled structures: curate, train."""

from __future__ import annotations

from aiida.engine import ExitCode, ProcessSpec
from aiida.orm import Dict, SinglefileData

from ..config.schemas.pipeline import TrainingRunConfig
from ..config.schemas.training import TrainingConfig
from ..host.workarounds.lost_connection import WithWorkarounds
from ..programs.settings import validates
from .run_with_fit import RunWithFit


class OwnDataWorkChain(WithWorkarounds, RunWithFit):
    """Fits a potential to labelled structures of the user."""

    @classmethod
    def define(cls, spec: ProcessSpec) -> None:
        """Declare inputs and outline."""
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
        spec.outline(cls.curate, cls.train, cls.results)

    @property
    def config(self) -> TrainingRunConfig:
        """The settings of the run."""
        return TrainingRunConfig.model_validate(self.inputs.config.get_dict())

    @property
    def training(self) -> TrainingConfig:
        """The settings of the fit."""
        return self.config.training()

    def curate(self) -> ExitCode | None:
        """Curate the labelled structures into a dataset."""
        return self.curate_into_dataset(self.config.curation, {"labelled": self.inputs.labelled})
