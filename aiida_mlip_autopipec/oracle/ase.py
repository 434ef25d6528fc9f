"""Oracle that labels structures with any ASE calculator, in batches."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from aiida.engine import ExitCode, ProcessSpec, while_
from aiida.orm import AbstractCode, CalcJobNode, Dict

from ..config.schemas.oracle import STRUCTURES_PER_JOB, AseOracleConfig
from ..dataset.identity import method_id, structure_key
from ..dataset.trajectory import to_atoms
from ..programs.failures import reason_of
from ..programs.resources import job_metadata, parallel_options
from ..programs.submit_once import called_by_number, submit_once
from .batches import Batch, FrameIndex, batch_frames, make_batches
from .calculation import AseLabelCalculation
from .claims import set_claim
from .contract import failed_label, merge_reports
from .slots import SlotsOracleWorkChain


class AseOracleWorkChain(SlotsOracleWorkChain):
    """Labels structures in batches; structures a job did not reach are resubmitted, failed labels are reported."""

    model = AseOracleConfig

    @classmethod
    def define(cls, spec: ProcessSpec) -> None:
        """Declare inputs, outline, outputs and exit codes."""
        super().define(spec)
        spec.input("code", valid_type=AbstractCode, help="The portable code `label_structures`.")

        spec.outline(
            cls.divide_into_batches,
            while_(cls.has_work)(
                cls.fill_slots,
                cls.collect_labels,
            ),
            cls.attach_labels,
            cls.check_calculator,
            cls.write_report,
            cls.check_failures,
        )

        spec.exit_code(410, "ERROR_CALCULATOR_UNAVAILABLE", message="{reason}")

    def divide_into_batches(self) -> None:
        """Begin without jobs; each job labels one of :attr:`_batches`."""
        self.ctx.batches_to_resubmit = []
        self.ctx.batch_of_job = {}
        self.ctx.failed_labels = []
        self.ctx.unavailable = None
        self.open_slots()
        n_structures = sum(node.numsteps for node in self.inputs.structures.values())
        self.report(f"{n_structures} structures in {len(self._batches)} jobs")

    @cached_property
    def _batches(self) -> list[Batch]:
        """The batches in the order of their submission, those with most atoms first, so that no large one is computed last.

        Not in the context, which is written after each step.
        """
        structures = self.inputs.structures
        frames = [(label, step) for label in sorted(structures) for step in range(structures[label].numsteps)]
        sizes = {label: len(node.symbols) for label, node in structures.items()}
        return sorted(
            make_batches(frames, self.settings.structures_per_job or STRUCTURES_PER_JOB),
            key=lambda batch: -sum(sizes[label] for label, _ in batch_frames(batch)),
        )

    def has_waiting(self) -> bool:
        """Return whether batches are left to submit."""
        left = self.ctx.batches_to_resubmit or self.ctx.submitted < len(self._batches)
        return bool(left) and self.ctx.unavailable is None

    def submit_next(self, number: int) -> CalcJobNode:
        """Submit the job of the next batch."""
        settings = self.settings
        is_first = number < len(self._batches)
        entry: dict[str, Any] = (
            {"batch": self._batches[number], "attempts": 0} if is_first else self.ctx.batches_to_resubmit.pop(0)
        )
        metadata = job_metadata(
            self.inputs.resources,
            seconds_per_structure=settings.seconds_per_structure,
            command=settings.command,
            batch_size=settings.batch_size,
            **parallel_options(self.inputs.resources, settings.processes, settings.threads, settings.withmpi),
        )
        node = submit_once(
            self,
            AseLabelCalculation,
            f"job_{number}",
            code=self.inputs.code,
            structures={label: self.inputs.structures[label] for label in entry["batch"]},
            batch=Dict(entry["batch"]),
            method=self.inputs.method,
            metadata=metadata,
        )
        set_claim(node, method_id(self.inputs.method.get_dict()), self._structure_keys(entry["batch"]))
        self.ctx.batch_of_job[str(number)] = entry
        return node

    def _structure_keys(self, batch: Batch) -> list[str]:
        steps: dict[str, list[int]] = {}
        for label, step in batch_frames(batch):
            steps.setdefault(label, []).append(step)
        structures = self.inputs.structures
        return [structure_key(atoms) for label in steps for atoms in to_atoms(structures[label], steps[label])]

    def collect_labels(self) -> None:
        """Resubmit structures that the jobs that have ended did not reach."""
        for number, job in self.take_ended():
            entry = self.ctx.batch_of_job.pop(str(number))
            if job.exit_status == AseLabelCalculation.exit_codes.ERROR_CALCULATOR_UNAVAILABLE.status:
                self.ctx.unavailable = job.exit_message
            elif self.ctx.unavailable is None:
                self._resubmit_unlabelled(job, entry["batch"], entry["attempts"])

    def attach_labels(self) -> None:
        """Attach the labels of all jobs; only at the end, since each step reads the links of all outputs."""
        for number, job in called_by_number(self.node, "job").items():
            if "labelled" in job.outputs:
                for label, trajectory in job.outputs.labelled.items():
                    self.out(f"labelled.{label}_{number}", trajectory)

    def check_calculator(self) -> ExitCode | None:
        """Return an exit code if the calculator is missing on the computer of the jobs."""
        if self.ctx.unavailable is None:
            return None
        return self.exit_codes.ERROR_CALCULATOR_UNAVAILABLE.format(reason=self.ctx.unavailable)

    def _resubmit_unlabelled(self, job: CalcJobNode, batch: Batch, attempts_before: int) -> None:
        """Resubmit the structures that a job did not reach.

        The structure that was being computed is resubmitted alone, the remaining ones together: it may have caused the job
        to fail, and would then fail the others again.

        :param attempts_before: number of earlier jobs that stopped before a structure of this batch had a label.
        """
        report = job.outputs.report.get_dict() if "report" in job.outputs else None
        left = [(label, step) for label, step in report["left"]] if report else batch_frames(batch)
        if not left:
            return
        finished = report is not None and len(left) < report["asked"]
        self.report(f"job<{job.pk}> stopped with {len(left)} structures left: {reason_of(job)}")
        for frames, attempts in (
            (left[:1], attempts_before + 1),
            (left[1:], 0 if finished else attempts_before + 1),
        ):
            if not frames:
                continue
            if attempts >= self.settings.max_attempts:
                self._record_failed(frames, job, attempts)
                continue
            (remaining,) = make_batches(frames, len(frames))
            self.ctx.batches_to_resubmit.append({"batch": remaining, "attempts": attempts})

    def _record_failed(self, frames: list[FrameIndex], job: CalcJobNode, attempts: int) -> None:
        reason = f"{attempts} jobs stopped before it had a label; the last one: {reason_of(job)}"
        for label, step in frames:
            trajectory = self.inputs.structures[label]
            self.ctx.failed_labels.append(
                failed_label(label, step, trajectory, job.uuid, kind="job_failed", reason=reason)
            )

    def write_report(self) -> None:
        """Merge the reports of the jobs into one."""
        jobs = called_by_number(self.node, "job")
        reports = {f"job_{number}": job.outputs.report for number, job in jobs.items() if "report" in job.outputs}
        self.ctx.report = merge_reports(given_up=Dict({"failed": self.ctx.failed_labels}), **reports)
        self.out("report", self.ctx.report)
