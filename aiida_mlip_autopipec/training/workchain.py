"""WorkChain that fits a potential, and restarts a killed fit from its checkpoint."""

from __future__ import annotations

from aiida.engine import ExitCode, ProcessSpec
from aiida.orm import Dict, SinglefileData, TrajectoryData

from ..config.schemas.training import TrainingConfig
from ..programs.catalogue import PACE_TRAIN
from ..programs.failures import failed_and_uncached
from ..programs.program import output_file
from ..programs.resources import limit_options
from ..programs.restart import ProgramWorkChain
from ..programs.settings import validates
from .calcfunctions import write_training_files

OUTPUTS = {
    "potential": "potential.yace",
    "potential_yaml": "potential.yaml",
    "active_set": "potential.asi",
    "predictions": "predictions.npz",
}
"""Files of a finished fit, by the name of the output."""


class PaceTrainWorkChain(ProgramWorkChain):
    """Fits an ACE potential to a dataset by a ShellJob of the portable program `pace_train`."""

    program = PACE_TRAIN
    continues = True

    @classmethod
    def define(cls, spec: ProcessSpec) -> None:
        """Declare inputs and outputs."""
        super().define(spec)
        spec.input_namespace(
            "dataset", valid_type=TrajectoryData, dynamic=True, help="A curated dataset: trajectories by name."
        )
        spec.input(
            "settings",
            valid_type=Dict,
            validator=validates(TrainingConfig),
            help="Settings of the fit: a `TrainingConfig` as dictionary.",
        )
        spec.input(
            "teacher",
            valid_type=SinglefileData,
            required=False,
            help="`potential_yaml` of a linear fit to labels of a teacher, which cross-validation may choose as prior.",
        )
        spec.output("potential", valid_type=SinglefileData, help="The potential, a `.yace` file.")
        spec.output(
            "potential_yaml",
            valid_type=SinglefileData,
            help="The potential as a `.yaml` file, from which a fit can start.",
        )
        spec.output("active_set", valid_type=SinglefileData, help="The active set, for extrapolation grades.")
        spec.output("predictions", valid_type=SinglefileData, help="Energies and forces, reference and predicted.")
        spec.output("metrics", valid_type=Dict, help="Errors on training and test set, automatic choices, versions.")

    def write_files(self) -> ExitCode | None:
        """Write the input file and the dataset of the job."""
        config = TrainingConfig.model_validate(self.inputs.settings.get_dict())
        settings = Dict(config.model_dump(mode="json"))
        files, node = write_training_files.run_get_node(settings=settings, **self.inputs.dataset)
        if failed_and_uncached(node):
            return self.program.exit_code(self, "bad_input", node.exit_message)
        if "teacher" in self.inputs:
            files = {**files, "teacher": self.inputs.teacher}
        self.set_job(files, limit_options(self.inputs.resources), [*OUTPUTS.values(), *self.program.results])
        return None

    def results(self) -> None:
        """Attach the files and metrics of the last job."""
        job = self.ctx.children[-1]
        for name, filename in OUTPUTS.items():
            self.out(name, output_file(job, filename))
        self.out("metrics", job.outputs.metrics)
