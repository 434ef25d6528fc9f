"""The WorkChain that fits a potential, and goes on where a job was ended."""

from __future__ import annotations

from typing import ClassVar

from aiida.common import AttributeDict
from aiida.engine import ExitCode, ProcessSpec, calcfunction, while_
from aiida.orm import AbstractCode, CalcJobNode, Dict, RemoteData, SinglefileData, Str, TrajectoryData

from ..config.schemas.training import TrainingConfig
from ..explained import FAILURE, ExplainedJobWorkChain
from ..jobs import failed, job_metadata, limit_options, link_label, validate_resources, validates
from .files import write_training_files
from .input import DATASET, INPUT
from .parser import METRICS

OUTPUTS = {
    "potential": "potential.yace",
    "potential_yaml": "potential.yaml",
    "active_set": "potential.asi",
    "predictions": "predictions.npz",
}
"""The files of a finished fit, by the name of their output."""

PREVIOUS = "previous"
"""Name of the input that tells a job the folder of the one before."""

PARSER = "aiida.parsers:mlip_autopipec.pace_train"


@calcfunction
def path_of(folder: RemoteData) -> Str:
    """Return the path of a folder on its computer: aiida-shell takes no `RemoteData` beside a portable code."""
    return Str(folder.get_remote_path())


class PaceTrainWorkChain(ExplainedJobWorkChain):
    """Fits an ACE potential to a dataset by a ShellJob of the portable script `pace_train`."""

    EXIT_CODES: ClassVar = {
        "bad_input": "ERROR_BAD_INPUT",
        "no_neighbours": "ERROR_NO_NEIGHBOURS",
        "too_few_atoms": "ERROR_TOO_FEW_ATOMS",
        "diverged": "ERROR_DIVERGED",
        "out_of_time": "ERROR_OUT_OF_TIME",
        "killed": "ERROR_KILLED",
        "not_installed": "ERROR_TRAINER_MISSING",
    }

    @classmethod
    def define(cls, spec: ProcessSpec) -> None:
        """Declare inputs, outline, outputs and exit codes."""
        super().define(spec)
        spec.input_namespace("dataset", valid_type=TrajectoryData, dynamic=True, help="A curated dataset, by label.")
        spec.input("settings", valid_type=Dict, validator=validates(TrainingConfig), help="A `TrainingConfig`.")
        spec.input("resources", valid_type=Dict, validator=validate_resources, help="A `ResourcesConfig`.")
        spec.input("code", valid_type=AbstractCode, help="The portable code `pace_train`.")

        spec.outline(
            cls.setup,
            cls.write_files,
            while_(cls.should_run_process)(
                cls.run_process,
                cls.inspect_process,
            ),
            cls.results,
        )

        spec.output("potential", valid_type=SinglefileData, help="The potential, a `.yace` file.")
        spec.output(
            "potential_yaml", valid_type=SinglefileData, help="The potential in the form that can be fitted on."
        )
        spec.output("active_set", valid_type=SinglefileData, help="The active set, for extrapolation grades.")
        spec.output("predictions", valid_type=SinglefileData, help="Energies and forces, reference and predicted.")
        spec.output("metrics", valid_type=Dict, help="Errors on train and test, choices, versions.")
        spec.exit_code(500, "ERROR_BAD_INPUT", message="{message}")
        spec.exit_code(501, "ERROR_NO_NEIGHBOURS", message="{message}")
        spec.exit_code(502, "ERROR_TOO_FEW_ATOMS", message="{message}")
        spec.exit_code(503, "ERROR_DIVERGED", message="{message}")
        spec.exit_code(504, "ERROR_OUT_OF_TIME", message="{message}")
        spec.exit_code(505, "ERROR_TRAINER_MISSING", message="{message}")
        spec.exit_code(506, "ERROR_KILLED", message="{message}")
        spec.exit_code(510, "ERROR_UNEXPECTED", message="pace_train failed: {message}")

    def write_files(self) -> ExitCode | None:
        """Write the files of the job."""
        files, node = write_training_files.run_get_node(settings=self.inputs.settings, **self.inputs.dataset)
        if failed(node):
            return self.exit_codes.ERROR_BAD_INPUT.format(message=node.exit_message)
        self.ctx.inputs = AttributeDict(
            {
                "code": self.inputs.code,
                "nodes": {"input": files["input"], "dataset": files["dataset"]},
                "filenames": {"input": INPUT, "dataset": DATASET},
                "arguments": [*limit_options(self.inputs.resources), "{input}", "{dataset}"],
                "outputs": [*OUTPUTS.values(), METRICS],
                "parser": PARSER,
                "metadata": job_metadata(self.inputs.resources, redirect_stderr=True, additional_retrieve=[FAILURE]),
            }
        )
        return None

    def go_on_from(self, node: CalcJobNode) -> None:
        """Tell the next job the folder of an ended one: what was done stands there."""
        inputs = self.ctx.inputs
        if PREVIOUS not in inputs.nodes:
            inputs.arguments = ["--previous", f"{{{PREVIOUS}}}", *inputs.arguments]
        inputs.nodes = {**inputs.nodes, PREVIOUS: path_of(node.outputs.remote_folder)}

    def results(self) -> None:
        """Attach the files and metrics of the last job."""
        outputs = self.ctx.children[-1].outputs
        for name, filename in OUTPUTS.items():
            self.out(name, outputs[link_label(filename)])
        self.out("metrics", outputs.metrics)
