"""CalcJob that labels a batch of structures."""

from __future__ import annotations

import json
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from aiida.common.datastructures import CalcInfo, CodeInfo
from aiida.common.folders import Folder
from aiida.engine import CalcJob, CalcJobProcessSpec
from aiida.orm import AbstractCode, Dict, TrajectoryData

from ..dataset.traj_file import write_traj
from ..dataset.trajectory import to_atoms
from ..host.workarounds.lost_connection import WithWorkarounds
from ..programs.failures import LABEL_LOG_FILE
from .ase_inputs import computed_structure, job_method
from .batches import batch_frames


class AseLabelCalculation(WithWorkarounds, CalcJob):
    """Labels a batch of structures by the portable program `label_structures`."""

    STRUCTURES, METHOD = "structures.traj", "method.json"
    LABELS, FAILURES, SUMMARY, LOG = "labels.traj", "failures.jsonl", "summary.json", LABEL_LOG_FILE

    @classmethod
    def define(cls, spec: CalcJobProcessSpec) -> None:
        """Declare inputs, outputs and exit codes."""
        super().define(spec)
        spec.inputs["code"].valid_type = AbstractCode
        spec.inputs["code"].required = True
        spec.input_namespace(
            "structures",
            valid_type=TrajectoryData,
            dynamic=True,
            help="Structures: trajectories by name, such as `Cu4_111`.",
        )
        spec.input(
            "batch",
            valid_type=Dict,
            help="Frames to label, by the name of their trajectory: `{name: [[first, last + 1], ...]}`.",
        )
        spec.input("method", valid_type=Dict, help="`calculator` and `parameters`: the identity of the labels.")
        spec.input("metadata.options.seconds_per_structure", valid_type=(int, float), required=False)
        spec.input(
            "metadata.options.command",
            valid_type=str,
            required=False,
            help="Command that starts the code of the calculator.",
        )
        spec.input(
            "metadata.options.batch_size", valid_type=int, required=False, help="Structures computed at the same time."
        )
        spec.input(
            "metadata.options.mpirun",
            valid_type=list,
            required=False,
            help="Words before the command, such as `mpirun -np 4`.",
        )
        spec.input("metadata.options.output_filename", valid_type=str, default=cls.LOG)
        spec.inputs["metadata"]["options"]["parser_name"].default = "mlip_autopipec.ase_label"
        spec.inputs["metadata"]["options"]["resources"].default = {
            "num_machines": 1,
            "num_mpiprocs_per_machine": 1,
        }
        spec.inputs["metadata"]["options"]["withmpi"].default = False

        spec.output_namespace(
            "labelled", valid_type=TrajectoryData, dynamic=True, help="Labelled structures: trajectories by name."
        )
        spec.output(
            "report", valid_type=Dict, help="Counts, failed labels with reasons, structures without a label so far."
        )
        spec.exit_code(
            300,
            "ERROR_NO_LABELS",
            message="The job wrote no labels: see {log} in the retrieved files, and the output of the scheduler.",
            invalidates_cache=True,
        )
        spec.exit_code(
            310,
            "ERROR_INTERRUPTED",
            message="The job was killed with {left} of {total} structures left{why}; finished labels are kept.",
            invalidates_cache=True,
        )
        spec.exit_code(
            311,
            "ERROR_OUT_OF_WALLTIME",
            message="The job reached its walltime with {left} of {total} structures left; finished labels are kept.",
            invalidates_cache=True,
        )
        spec.exit_code(
            320,
            "ERROR_CALCULATOR_UNAVAILABLE",
            message="The calculator cannot be used on this computer: {reason}",
            invalidates_cache=True,
        )
        spec.exit_code(
            330,
            "ERROR_SOME_FAILED",
            message="{failed} of {total} labels failed; the report gives the reasons.",
            invalidates_cache=True,
        )

    def prepare_for_submission(self, folder: Folder) -> CalcInfo:
        """Write the structures and the method; these files are not stored, since the input nodes hold their content."""
        working_directory = Path(folder.abspath)
        method = self.inputs.method.get_dict()
        structures = [
            atoms
            for label, group in groupby(batch_frames(self.inputs.batch.get_dict()), key=itemgetter(0))
            for atoms in to_atoms(self.inputs.structures[label], [step for _, step in group])
        ]
        write_traj(working_directory / self.STRUCTURES, (computed_structure(atoms, method) for atoms in structures))
        options = self.inputs.metadata.options
        start = {name: options[name] for name in ("command", "mpirun", "batch_size") if options.get(name)}
        (working_directory / self.METHOD).write_text(json.dumps({**job_method(structures, method), **start}))

        arguments = [self.STRUCTURES, self.METHOD]
        if options.get("seconds_per_structure"):
            arguments += ["--seconds-per-structure", str(options.seconds_per_structure)]
        if options.get("max_wallclock_seconds"):
            arguments += ["--walltime", str(options.max_wallclock_seconds)]
        code = CodeInfo()
        code.code_uuid = self.inputs.code.uuid
        code.cmdline_params = arguments
        code.stdout_name = self.LOG
        code.join_files = True
        info = CalcInfo()
        info.codes_info = [code]
        info.provenance_exclude_list = [self.STRUCTURES, self.METHOD]
        info.retrieve_list = [self.FAILURES, self.SUMMARY, self.LOG]
        info.retrieve_temporary_list = [self.LABELS]
        return info
