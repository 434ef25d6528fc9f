"""The WorkChain that lets a potential go, and hands in the structures it does not know."""

from __future__ import annotations

import json
from typing import Any

from aiida.engine import ExitCode, ProcessSpec, WorkChain, append_, while_
from aiida.orm import AbstractCode, CalcJobNode, Dict, Float, Int, List, SinglefileData, TrajectoryData
from aiida_shell import ShellJob

from ..config.schemas.exploration import ExplorationConfig
from ..explained import ENDED, FAILURE, failure_of
from ..jobs import failed, job_metadata, limit_options, link_label, validate_resources, validates
from ..trainer.workflow import PREVIOUS, path_of
from ..worker import EndsWithBroker
from .parser import REPORT
from .process import (
    SETTINGS,
    WALKERS,
    WALKERS_OF,
    collect_candidates,
    report_exploration,
    write_exploration_files,
)

PARSER = "aiida.parsers:mlip_autopipec.explore_structures"
_FRAMES = "frames.traj"
_FILENAMES = {"settings": SETTINGS, "walkers": WALKERS, "yaml": "potential.yaml", "asi": "potential.asi"}
"""Names of the files of a job, by the name of their node."""


class ExplorationWorkChain(EndsWithBroker, WorkChain):
    """Lets walkers go by a potential; each hands in what the potential does not know, as long as that is matter."""

    @classmethod
    def define(cls, spec: ProcessSpec) -> None:
        """Declare inputs, outline, outputs and exit codes."""
        super().define(spec)
        spec.input("potential_yaml", valid_type=SinglefileData, help="The potential, as a `.yaml` file.")
        spec.input("active_set", valid_type=SinglefileData, help="Its active set, an `.asi` file.")
        spec.input("elements", valid_type=List, help="The elements to explore it for.")
        spec.input("settings", valid_type=Dict, validator=validates(ExplorationConfig), help="An `ExplorationConfig`.")
        spec.input("select_grade", valid_type=Float, required=False, help="In place of that of the settings.")
        spec.input("stop_grade", valid_type=Float, required=False, help="In place of that of the settings.")
        spec.input("round", valid_type=Int, default=lambda: Int(0), help="Number of the round: each has other walkers.")
        spec.input_namespace(
            "starts", dynamic=True, valid_type=TrajectoryData, required=False, help="Structures to start from too."
        )
        spec.input("resources", valid_type=Dict, validator=validate_resources, help="A `ResourcesConfig`.")
        spec.input("code", valid_type=AbstractCode, help="The portable code `explore_structures`.")

        spec.outline(
            cls.make_walkers,
            while_(cls.has_jobs)(
                cls.submit_jobs,
                cls.inspect_jobs,
            ),
            cls.collect,
        )

        spec.output_namespace(
            "candidates", valid_type=TrajectoryData, dynamic=True, help="The structures handed in, by label."
        )
        spec.output("report", valid_type=Dict, help="Walkers, steps, largest grade, how they ended.")
        spec.exit_code(400, "ERROR_BAD_INPUT", message="{message}")
        spec.exit_code(401, "ERROR_POTENTIAL_UNUSABLE", message="{message}")
        spec.exit_code(402, "ERROR_EXPLORER_MISSING", message="{message}")
        spec.exit_code(403, "ERROR_OUT_OF_TIME", message="{message}")
        spec.exit_code(404, "ERROR_KILLED", message="{message}")
        spec.exit_code(410, "ERROR_UNEXPECTED", message="explore_structures failed: {message}")

    def make_walkers(self) -> ExitCode | None:
        """Make the walkers, and divide them among jobs."""
        given = {name: self.inputs[name] for name in ("select_grade", "stop_grade") if name in self.inputs}
        files, node = write_exploration_files.run_get_node(
            elements=self.inputs.elements,
            settings=self.inputs.settings,
            exploration_round=self.inputs.round,
            **given,
            **self.inputs.get("starts", {}),
        )
        if failed(node):
            return self.exit_codes.ERROR_BAD_INPUT.format(message=node.exit_message)
        self.ctx.files = files
        parts = [name for name in files if name.startswith(WALKERS_OF)]
        self.ctx.waiting = [{"part": part, "restarts": 0, "previous": None} for part in parts]
        self.ctx.jobs = []
        self.ctx.found = {}
        self.report(f"{self._settings.walkers.total} walkers in {len(parts)} jobs")
        return None

    def has_jobs(self) -> bool:
        """Say whether walkers wait for a job."""
        return bool(self.ctx.waiting)

    def submit_jobs(self) -> None:
        """Submit the jobs, or those that go on where others were ended."""
        self.ctx.running, self.ctx.waiting = self.ctx.waiting, []
        for work in self.ctx.running:
            self.to_context(jobs=append_(self._submit(work)))

    def inspect_jobs(self) -> ExitCode | None:
        """Let those that were ended go on in others; give up where that was too often."""
        first = len(self.ctx.jobs) - len(self.ctx.running)
        for number, work in enumerate(self.ctx.running, start=first):
            job = self.ctx.jobs[number]
            if _has_found(job):
                self.ctx.found[work["part"]] = number
            if job.is_finished_ok:
                continue
            kind, message = failure_of(job)
            if kind not in ENDED:
                return self._exit_code(kind, message)
            if work["restarts"] < self._settings.max_restarts:
                self.report(f"job {job.pk} was ended and another goes on from it: {message}")
                self.ctx.waiting.append({**work, "restarts": work["restarts"] + 1, "previous": number})
            else:
                self.report(f"job {job.pk} was ended, and there have been too many of these: {message}")
                self.ctx.given_up = [kind, message]
        return None

    def collect(self) -> ExitCode | None:
        """Attach what the walkers handed in, and the report on them."""
        if not self.ctx.found:
            return self._exit_code(*self.ctx.given_up)
        jobs = {part: self.ctx.jobs[number] for part, number in self.ctx.found.items()}
        reports = {part: job.outputs[link_label(REPORT)] for part, job in jobs.items()}
        report = report_exploration(self.inputs.settings, **reports)
        candidates = collect_candidates(**{part: job.outputs[link_label(_FRAMES)] for part, job in jobs.items()})
        self.out("candidates", candidates or {})
        self.out("report", report)
        self.report(
            f"{report['done']} of {report['walkers']} walkers came to their end and handed in {report['candidates']} "
            f"structures; the largest grade was {report['largest_grade']:.3g}"
        )
        return None

    @property
    def _settings(self) -> ExplorationConfig:
        """The settings; not kept in the context, which must be writable to a checkpoint."""
        return ExplorationConfig.model_validate(self.inputs.settings.get_dict())

    def _submit(self, work: dict[str, Any]) -> CalcJobNode:
        options = limit_options(self.inputs.resources)
        nodes = {
            "settings": self.ctx.files["settings"],
            "walkers": self.ctx.files[work["part"]],
            "yaml": self.inputs.potential_yaml,
            "asi": self.inputs.active_set,
        }
        files = [f"{{{name}}}" for name in nodes]
        if work["previous"] is not None:
            options += ["--previous", f"{{{PREVIOUS}}}"]
            nodes[PREVIOUS] = path_of(self.ctx.jobs[work["previous"]].outputs.remote_folder)
        return self.submit(
            ShellJob,
            code=self.inputs.code,
            nodes=nodes,
            filenames=_FILENAMES,
            arguments=[*options, *files],
            outputs=[_FRAMES, REPORT],
            parser=PARSER,
            metadata={
                **job_metadata(self.inputs.resources, redirect_stderr=True, additional_retrieve=[FAILURE]),
                "call_link_label": "explore",
            },
        )

    def _exit_code(self, kind: str, message: str) -> ExitCode:
        codes = {
            "bad_input": self.exit_codes.ERROR_BAD_INPUT,
            "potential_unusable": self.exit_codes.ERROR_POTENTIAL_UNUSABLE,
            "not_installed": self.exit_codes.ERROR_EXPLORER_MISSING,
            "out_of_time": self.exit_codes.ERROR_OUT_OF_TIME,
            "killed": self.exit_codes.ERROR_KILLED,
        }
        return codes.get(kind, self.exit_codes.ERROR_UNEXPECTED).format(message=message)


def _has_found(job: CalcJobNode) -> bool:
    """Tell whether any walker of a job came to its end, and what it found is there."""
    if not {link_label(REPORT), link_label(_FRAMES)} <= set(job.outputs):
        return False
    return json.loads(job.outputs[link_label(REPORT)].get_content(mode="r"))["done"] > 0
