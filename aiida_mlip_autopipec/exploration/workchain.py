"""WorkChain that explores with a potential and returns structures with a large extrapolation grade."""

from __future__ import annotations

from aiida.engine import ExitCode, ProcessSpec, WorkChain
from aiida.orm import Dict, Float, Int, List, ProcessNode, TrajectoryData

from ..config.schemas.exploration import ExplorationConfig
from ..host.workarounds.lost_connection import WithWorkarounds
from ..programs.catalogue import EXPLORE_STRUCTURES
from ..programs.failures import EXIT_CODES, RESTARTED, UNEXPECTED, failed_and_uncached, reason_of
from ..programs.settings import validates
from ..programs.submit_once import submit_once
from .calcfunctions import (
    SAMPLER_FILE_PREFIX,
    collect_candidates,
    report_exploration,
    write_exploration_files,
)
from .samplers_job import SamplersWorkChain


class ExplorationWorkChain(WithWorkarounds, WorkChain):
    """Runs samplers with a potential; each saves frames whose extrapolation grade is between two limits."""

    @classmethod
    def define(cls, spec: ProcessSpec) -> None:
        """Declare inputs, outline, outputs and exit codes."""
        super().define(spec)
        spec.expose_inputs(SamplersWorkChain, include=("potential_yaml", "active_set", "resources", "code"))
        spec.input("elements", valid_type=List, help="The elements to explore.")
        spec.input(
            "settings",
            valid_type=Dict,
            validator=validates(ExplorationConfig),
            help="Settings of the exploration: an `ExplorationConfig` as dictionary.",
        )
        spec.input(
            "select_grade", valid_type=Float, required=False, help="Used in place of `select_grade` of the settings."
        )
        spec.input(
            "stop_grade", valid_type=Float, required=False, help="Used in place of `stop_grade` of the settings."
        )
        spec.input(
            "round", valid_type=Int, default=lambda: Int(0), help="Number of the round, on which the samplers depend."
        )
        spec.input_namespace(
            "starts", dynamic=True, valid_type=TrajectoryData, required=False, help="Additional start structures."
        )

        spec.outline(
            cls.make_samplers,
            cls.run_samplers,
            cls.collect,
        )

        spec.output_namespace(
            "candidates", valid_type=TrajectoryData, dynamic=True, help="The saved frames: trajectories by name."
        )
        spec.output(
            "report", valid_type=Dict, help="Numbers of samplers and steps, the largest grade, and the stop reasons."
        )
        EXPLORE_STRUCTURES.declare_exit_codes(spec)

    def make_samplers(self) -> ExitCode | None:
        """Generate the samplers and divide them among jobs."""
        overrides = {name: self.inputs[name] for name in ("select_grade", "stop_grade") if name in self.inputs}
        files, node = write_exploration_files.run_get_node(
            elements=self.inputs.elements,
            settings=self.inputs.settings,
            exploration_round=self.inputs.round,
            **overrides,
            **self.inputs.get("starts", {}),
        )
        if failed_and_uncached(node):
            return EXPLORE_STRUCTURES.exit_code(self, "bad_input", node.exit_message)
        self.ctx.files = files
        self.report(f"{self._settings.walkers.total} samplers in {len(self._parts)} jobs")
        return None

    def run_samplers(self) -> None:
        """Run the samplers, each part in a job of its own."""
        for part in self._parts:
            node = submit_once(
                self,
                SamplersWorkChain,
                f"run_{part}",
                settings=self.ctx.files["settings"],
                samplers=self.ctx.files[part],
                max_iterations=Int(1 + self._settings.max_restarts),
                **self.exposed_inputs(SamplersWorkChain),
            )
            self.to_context(**{part: node})

    def collect(self) -> ExitCode | None:
        """Attach the saved frames and the report; without any finished sampler, return the reason."""
        found = {part: self.ctx[part] for part in self._parts if "report" in self.ctx[part].outputs}
        failures = [self.ctx[part] for part in self._parts if not self.ctx[part].is_finished_ok]
        for node in failures:
            if not found or not _was_killed(node):
                reason = reason_of(node)
                if node.is_finished:
                    return ExitCode(node.exit_status, reason)
                return EXPLORE_STRUCTURES.exit_code(self, UNEXPECTED, reason)
            self.report(f"not all samplers finished: {node.exit_message}")
        report = report_exploration(self.inputs.settings, **{part: node.outputs.report for part, node in found.items()})
        candidates = collect_candidates(**{part: node.outputs.frames for part, node in found.items()})
        self.out("candidates", candidates or {})
        self.out("report", report)
        self.report(
            f"{report['done']} of {report['walkers']} samplers finished and saved {report['candidates']} frames; "
            f"the largest extrapolation grade was {report['largest_grade']:.3g}"
        )
        return None

    @property
    def _parts(self) -> list[str]:
        return [name for name in self.ctx.files if name.startswith(SAMPLER_FILE_PREFIX)]

    @property
    def _settings(self) -> ExplorationConfig:
        """Settings; not in the context, which must be serialisable."""
        return ExplorationConfig.model_validate(self.inputs.settings.get_dict())


def _was_killed(node: ProcessNode) -> bool:
    """Return whether the last job of some samplers was killed, so that the results of finished samplers can be used."""
    return node.exit_status in {EXIT_CODES[kind][0] for kind in RESTARTED}
