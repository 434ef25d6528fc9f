"""The calcfunctions of active learning: its history, and the files and reports between its steps."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from aiida.engine import calcfunction
from aiida.orm import Dict, Float, SinglefileData, Str, TrajectoryData
from ase import Atoms
from ase.io.trajectory import Trajectory

from ..config.schemas.learning import LearningConfig
from ..dataset.trajectory import all_frames
from . import history as histories

STRUCTURES = "structures.traj"


@calcfunction
def begin_history(oracle_report: Dict, metrics: Dict, select_grade: Float) -> Dict:
    """Return the history after the start: see :func:`~.history.begin`."""
    return Dict(histories.begin(oracle_report.get_dict(), metrics.get_dict(), select_grade.value))


@calcfunction
def write_structures(**labelled: TrajectoryData) -> SinglefileData:
    """Write structures for the potential to evaluate, in the order of their labels."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / STRUCTURES
        with Trajectory(str(path), "w") as frames:
            for atoms in _in_order(labelled):
                frames.write(atoms)
        return SinglefileData(path)


@calcfunction
def add_round(
    history: Dict,
    exploration_report: Dict,
    oracle_report: Dict,
    evaluation: SinglefileData,
    metrics_before: Dict,
    metrics: Dict,
    settings: Dict,
    **labelled: TrajectoryData,
) -> Dict:
    """Return the history after a round: see :func:`~.history.add_round`.

    :param evaluation: `labels.npz` of `validate_potential` on what :func:`write_structures` wrote of `labelled`.
    :param metrics_before: of the fit that was evaluated.
    :param settings: a :class:`LearningConfig` as dictionary.
    """
    with np.load(io.BytesIO(evaluation.get_content(mode="rb")), allow_pickle=False) as arrays:
        found = {name: arrays[name] for name in ("energies", "forces", "grades")}
    fresh = histories.errors_of(
        _in_order(labelled), **found, reference_energies=metrics_before["reference_energies_eV"]
    )
    return Dict(
        histories.add_round(
            history.get_dict(),
            exploration_report.get_dict(),
            oracle_report.get_dict(),
            fresh,
            metrics.get_dict(),
            LearningConfig.model_validate(settings.get_dict()),
        )
    )


@calcfunction
def add_failed_round(history: Dict, exploration_report: Dict, oracle_report: Dict) -> Dict:
    """Return the history after a round without labels: see :func:`~.history.add_failed_round`."""
    return Dict(histories.add_failed_round(history.get_dict(), exploration_report.get_dict(), oracle_report.get_dict()))


@calcfunction
def lower_limit(history: Dict) -> Dict:
    """Return the history with a lower limit: see :func:`~.history.lower`."""
    return Dict(histories.lower(history.get_dict()))


@calcfunction
def conclude(history: Dict, ended: Str, **last_exploration: Dict) -> Dict:
    """Return the history with the reason for its end, and with the exploration that met nothing new, if that was it."""
    content: dict[str, Any] = {**history.get_dict(), "ended": ended.value}
    if last_exploration:
        content["last_exploration"] = last_exploration["report"].get_dict()
        # So that a run that goes on from here does not send the same walkers out again.
        content["idle"] = content.get("idle", 0) + 1
    return Dict(content)


@calcfunction
def sum_reports(**reports: Dict) -> Dict:
    """Return the reports of the oracle on several batches as one."""
    content = [report.get_dict() for _, report in sorted(reports.items())]
    merged: dict[str, Any] = {
        key: sum(report.get(key, 0) for report in content)
        for key in ("asked", "labelled", "reused", "jobs", "job_time_s")
    }
    merged["failed"] = [failure for report in content for failure in report["failed"]]
    merged["versions"] = {name: value for report in content for name, value in report["versions"].items()}
    return Dict(merged)


def _in_order(labelled: dict[str, TrajectoryData]) -> list[Atoms]:
    return all_frames({label: labelled[label] for label in sorted(labelled)})
