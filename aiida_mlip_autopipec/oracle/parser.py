"""Parser of `AseLabelCalculation`; it stores all finished labels, also of a job that failed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aiida.engine import ExitCode
from aiida.orm import Dict, FolderData
from aiida.parsers import Parser
from ase import Atoms
from ase.io.trajectory import Trajectory

from ..dataset.trajectory import attach_labels, to_atoms, to_trajectories
from .batches import FrameIndex, batch_frames
from .calculation import AseLabelCalculation
from .contract import failed_label


class AseLabelParser(Parser):
    """Turns the files of `label_structures` into labelled trajectories and a report."""

    def parse(self, **kwargs: Any) -> ExitCode | None:
        """Store labels and report; return an exit code if structures are left or labels failed."""
        frames = batch_frames(self.node.inputs.batch.get_dict())
        labels = _read_labels(Path(kwargs["retrieved_temporary_folder"]) / AseLabelCalculation.LABELS)
        failures = _read_failures(self.retrieved)
        summary = _read_summary(self.retrieved)
        left = [index for index in range(len(frames)) if index not in labels and index not in failures]

        method = self.node.inputs.method.get_dict()
        for label, trajectory in to_trajectories(self._labelled(frames, labels), method, reusable=True).items():
            self.out(f"labelled.{label}", trajectory)
        report = {
            "asked": len(frames),
            "labelled": len(labels),
            "failed": [self._failed_label(*frames[index], failures[index]) for index in sorted(failures)],
            "left": [list(frames[index]) for index in left],
            "wall_time_s": summary.get("wall_time_s"),
            "versions": summary.get("versions", {}),
        }
        self.out("report", Dict(report))

        codes = self.exit_codes
        if reason := summary.get("calculator_unavailable"):
            return codes.ERROR_CALCULATOR_UNAVAILABLE.format(reason=reason)
        if left and summary.get("out_of_time"):
            return codes.ERROR_OUT_OF_WALLTIME.format(left=len(left), total=len(frames))
        if left and not labels and not failures:
            return codes.ERROR_NO_LABELS.format(log=AseLabelCalculation.LOG)
        if left:
            return codes.ERROR_INTERRUPTED.format(left=len(left), total=len(frames), why=self._scheduler_message())
        if failures:
            return codes.ERROR_SOME_FAILED.format(failed=len(failures), total=len(frames))
        return None

    def _labelled(self, frames: Sequence[FrameIndex], labels: dict[int, dict[str, Any]]) -> list[Atoms]:
        structures = self.node.inputs.structures
        labelled = []
        for label in dict.fromkeys(label for label, _ in frames):
            indices = [index for index, frame in enumerate(frames) if frame[0] == label and index in labels]
            steps = [frames[index][1] for index in indices]
            for index, step, atoms in zip(indices, steps, to_atoms(structures[label], steps), strict=True):
                atoms.info.update(source_uuid=structures[label].uuid, source_step=step, calculation=self.node.uuid)
                if not atoms.pbc.all():
                    # Of the cell with vacuum in which it was computed.
                    labels[index].pop("stress", None)
                labelled.append(attach_labels(atoms, labels[index]))
        return labelled

    def _scheduler_message(self) -> str:
        """Return the last line of the scheduler's error output in brackets, or an empty string."""
        lines = (self.node.get_scheduler_stderr() or "").strip().splitlines()
        return f" ({lines[-1][:200]})" if lines else ""

    def _failed_label(self, label: str, step: int, record: dict[str, Any]) -> dict[str, Any]:
        trajectory = self.node.inputs.structures[label]
        return failed_label(label, step, trajectory, self.node.uuid, kind=record["kind"], reason=record["reason"])


def _read_labels(path: Path) -> dict[int, dict[str, Any]]:
    """Return the labels by index, without a frame that was incomplete when the job ended."""
    labels: dict[int, dict[str, Any]] = {}
    if not path.exists() or path.stat().st_size == 0:
        return labels
    try:
        with Trajectory(str(path)) as frames:
            for number in range(len(frames)):
                atoms = frames[number]
                labels[atoms.info["index"]] = dict(atoms.calc.results)
    except (OSError, ValueError, KeyError, IndexError):
        # The last frame is truncated; the frames before it are complete.
        pass
    return labels


def _read_failures(retrieved: FolderData) -> dict[int, dict[str, Any]]:
    failures = {}
    if AseLabelCalculation.FAILURES in retrieved.list_object_names():
        for line in retrieved.get_object_content(AseLabelCalculation.FAILURES).splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            failures[record["index"]] = record
    return failures


def _read_summary(retrieved: FolderData) -> dict[str, Any]:
    if AseLabelCalculation.SUMMARY not in retrieved.list_object_names():
        return {}
    return json.loads(retrieved.get_object_content(AseLabelCalculation.SUMMARY))
