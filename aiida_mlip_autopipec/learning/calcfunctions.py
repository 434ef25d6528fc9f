"""Calcfunctions of active learning: its history, and the files and reports between its steps."""

from __future__ import annotations

from typing import Any

from aiida.engine import calcfunction
from aiida.orm import Dict, Float, SinglefileData, Str, TrajectoryData
from ase import Atoms

from ..config.schemas.learning import LearningConfig
from ..dataset.frame_files import frames_file
from ..dataset.trajectory import all_frames
from ..programs.catalogue import VALIDATE_POTENTIAL
from ..programs.files import read_arrays
from . import history as rounds


@calcfunction
def begin_history(oracle_report: Dict, metrics: Dict, select_grade: Float) -> Dict:
    """Return the history of active learning after the fit of the initial potential."""
    return Dict(rounds.initial_history(oracle_report.get_dict(), metrics.get_dict(), select_grade.value))


@calcfunction
def write_structures(**labelled: TrajectoryData) -> SinglefileData:
    """Write the structures that `validate_potential` evaluates, in the order of the names of their trajectories."""
    return frames_file(VALIDATE_POTENTIAL.files["structures"], _in_order(labelled))


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
    """Return the history with a further round: its labels, exploration and errors.

    :param evaluation: `labels.npz` of `validate_potential`, for the file that :func:`write_structures` wrote for `labelled`.
    :param metrics_before: metrics of the fit that was evaluated.
    :param metrics: metrics of the fit with the new labels.
    :param settings: a :class:`LearningConfig` as dictionary.
    """
    arrays = read_arrays(evaluation)
    predictions = {name: arrays[name] for name in ("energies", "forces", "grades")}
    new_label_errors = rounds.prediction_errors(
        _in_order(labelled), **predictions, reference_energies=metrics_before["reference_energies_eV"]
    )
    return Dict(
        rounds.add_round(
            history.get_dict(),
            exploration_report.get_dict(),
            oracle_report.get_dict(),
            new_label_errors,
            metrics.get_dict(),
            LearningConfig.model_validate(settings.get_dict()),
        )
    )


@calcfunction
def add_failed_round(history: Dict, exploration_report: Dict, oracle_report: Dict) -> Dict:
    """Return the history with a further round in which all labels failed."""
    return Dict(rounds.add_failed_round(history.get_dict(), exploration_report.get_dict(), oracle_report.get_dict()))


@calcfunction
def lower_limit(history: Dict) -> Dict:
    """Return the history with half the limit, at least `MIN_LIMIT`, and one more exploration without new structures."""
    return Dict(rounds.halve_limit(history.get_dict()))


@calcfunction
def conclude(history: Dict, ended: Str, **last_exploration: Dict) -> Dict:
    """Return the history with the stop reason `ended` and, after convergence, the report of the last exploration."""
    content: dict[str, Any] = {**history.get_dict(), "ended": ended.value}
    if last_exploration:
        content["last_exploration"] = last_exploration["report"].get_dict()
        # A run that continues from here then uses other samplers.
        content["idle"] = content.get("idle", 0) + 1
    return Dict(content)


@calcfunction
def sum_reports(**reports: Dict) -> Dict:
    """Merge the reports of several labellings into one."""
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
