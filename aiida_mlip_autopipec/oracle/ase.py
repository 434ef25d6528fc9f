"""The oracle that labels structures by any ASE calculator, in batches."""

from __future__ import annotations

from typing import Any

from aiida.engine import ExitCode, ProcessSpec, WorkChain, append_, while_
from aiida.orm import AbstractCode, CalcJobNode, Dict

from ..config.schemas.oracle import AseOracleConfig
from ..dataset.trajectory import to_atoms
from ..jobs import job_metadata
from ..worker import EndsWithBroker
from .batches import batch_frames, make_batches
from .calculation import AseLabelCalculation
from .contract import declare_oracle, merge_reports, too_many_failures


def _how_it_ended(job: CalcJobNode) -> str:
    if job.exit_message:
        return job.exit_message
    return (job.exception or "").strip() or str(job.process_state.value)


class AseOracleWorkChain(EndsWithBroker, WorkChain):
    """Labels structures in batches; what a job left undone is submitted again, what failed is reported."""

    @classmethod
    def define(cls, spec: ProcessSpec) -> None:
        """Declare inputs, outline, outputs and exit codes."""
        super().define(spec)
        declare_oracle(spec, AseOracleConfig, "An `AseOracleConfig`.")
        spec.input("code", valid_type=AbstractCode, help="The portable code `label_structures`.")

        spec.outline(
            cls.divide_into_batches,
            while_(cls.has_batches)(
                cls.submit_batches,
                cls.collect_labels,
            ),
            cls.write_report,
            cls.check_failures,
        )

        spec.exit_code(410, "ERROR_CALCULATOR_UNAVAILABLE", message="{reason}")

    @property
    def settings(self) -> AseOracleConfig:
        """The settings; not kept in the context, which must be writable to a checkpoint."""
        return AseOracleConfig.model_validate(self.inputs.settings.get_dict())

    def divide_into_batches(self) -> None:
        """Divide the structures into batches, one a job."""
        structures = self.inputs.structures
        frames = [(label, step) for label in sorted(structures) for step in range(structures[label].numsteps)]
        batches = make_batches(frames, self.settings.structures_per_job)
        self.ctx.waiting = [{"batch": batch, "fruitless": 0} for batch in batches]
        self.ctx.jobs = []
        self.ctx.given_up = []
        self.report(f"{len(frames)} structures in {len(batches)} jobs")

    def has_batches(self) -> bool:
        """Say whether a batch waits for a job."""
        return bool(self.ctx.waiting)

    def submit_batches(self) -> None:
        """Submit as many jobs as may be in the queue at a time."""
        settings = self.settings
        self.ctx.running = self.ctx.waiting[: settings.max_concurrent_jobs]
        self.ctx.waiting = self.ctx.waiting[settings.max_concurrent_jobs :]
        metadata = job_metadata(self.inputs.resources, seconds_per_structure=settings.seconds_per_structure)
        for work in self.ctx.running:
            node = self.submit(
                AseLabelCalculation,
                code=self.inputs.code,
                structures={label: self.inputs.structures[label] for label in work["batch"]},
                batch=Dict(work["batch"]),
                method=self.inputs.method,
                metadata=metadata,
            )
            self.to_context(jobs=append_(node))

    def collect_labels(self) -> ExitCode | None:
        """Attach what the jobs labelled; what they left undone waits for another job, or is given up."""
        first = len(self.ctx.jobs) - len(self.ctx.running)
        for number, work in enumerate(self.ctx.running, start=first):
            job = self.ctx.jobs[number]
            if job.exit_status == AseLabelCalculation.exit_codes.ERROR_CALCULATOR_UNAVAILABLE.status:
                return self.exit_codes.ERROR_CALCULATOR_UNAVAILABLE.format(reason=job.exit_message)
            if "labelled" in job.outputs:
                for label, trajectory in job.outputs.labelled.items():
                    self.out(f"labelled.{label}_{number}", trajectory)
            self._put_back(job, work)
        return None

    def _put_back(self, job: CalcJobNode, work: dict[str, Any]) -> None:
        """Let the structures a job did not come to wait again.

        The first of them was being computed when the job ended and may be what ended it: it gets a job of its own, so that
        it cannot take the others along a second time.
        """
        report = job.outputs.report.get_dict() if "report" in job.outputs else None
        left = [(label, step) for label, step in report["left"]] if report else batch_frames(work["batch"])
        if not left:
            return
        finished = report is not None and len(left) < report["asked"]
        self.report(f"job<{job.pk}> ended with {len(left)} structures left: {_how_it_ended(job)}")
        for frames, fruitless in (
            (left[:1], work["fruitless"] + 1),
            (left[1:], 0 if finished else work["fruitless"] + 1),
        ):
            if not frames:
                continue
            if fruitless >= self.settings.max_attempts:
                self._give_up(frames, job, fruitless)
                continue
            (batch,) = make_batches(frames, len(frames))
            self.ctx.waiting.append({"batch": batch, "fruitless": fruitless})

    def _give_up(self, frames: list[tuple[str, int]], job: CalcJobNode, attempts: int) -> None:
        for label, step in frames:
            trajectory = self.inputs.structures[label]
            self.ctx.given_up.append(
                {
                    "label": label,
                    "step": step,
                    "family": to_atoms(trajectory, [step])[0].info["family"],
                    "kind": "job_failed",
                    "reason": f"{attempts} jobs ended without it; the last: {_how_it_ended(job)}",
                    "trajectory": trajectory.uuid,
                    "calculation": job.uuid,
                }
            )

    def write_report(self) -> None:
        """Merge the reports of the jobs."""
        reports = {
            f"job_{number}": job.outputs.report for number, job in enumerate(self.ctx.jobs) if "report" in job.outputs
        }
        self.ctx.report = merge_reports(given_up=Dict({"failed": self.ctx.given_up}), **reports)
        self.out("report", self.ctx.report)

    def check_failures(self) -> ExitCode | None:
        """End with an error if more structures failed than the user allows."""
        return too_many_failures(self, self.ctx.report.get_dict(), self.settings.max_failed_fraction)
