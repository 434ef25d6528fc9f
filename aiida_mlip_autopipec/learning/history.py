"""History of active learning: labels, exploration and errors of each round, as data for JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ase import Atoms

from ..config.schemas.learning import LearningConfig
from .calibration import MIN_LIMIT, Calibration, next_limit

MIN_FOUND_FRACTION = 0.5
"""If exploration finds fewer than this fraction of `labels_per_round` and the limit is not calibrated yet, halve the limit."""

TOLERATED_FORCE_FRACTION = 0.1
"""If `target_force_rmse` is not set: tolerated force error as a fraction of the root mean square force on the explored
structures. (A fraction of the force error would change with the potential.)"""


def initial_history(oracle: Mapping[str, Any], metrics: Mapping[str, Any], limit: float) -> dict[str, Any]:
    """Return the history after the start.

    :param oracle: report of the oracle.
    :param metrics: metrics of the first fit.
    :param limit: first limit of the extrapolation grade.
    :returns: `rounds`, of which the first is the start; `points`, grade and error of each new label; `select_grade`, the next
        limit; `asked`, the number of labels used of the budget. Later also `idle`, the number of explorations that found
        no new structure above the limit.
    """
    start = {"round": 0, **_label_counts(oracle), **_fit_summary(metrics), "total": oracle["asked"]}
    return {"rounds": [start], "points": [], "select_grade": limit, "asked": oracle["asked"]}


def add_round(
    history: Mapping[str, Any],
    exploration: Mapping[str, Any],
    oracle: Mapping[str, Any],
    new_label_errors: Sequence[Mapping[str, Any]],
    metrics: Mapping[str, Any],
    config: LearningConfig,
) -> dict[str, Any]:
    """Return the history after a further round.

    :param exploration: report of the exploration.
    :param oracle: report of the oracle.
    :param new_label_errors: see :func:`prediction_errors`.
    :param metrics: metrics of the fit with the new labels.
    """
    number = len(history["rounds"])
    points = [*history["points"], *({**point, "round": number} for point in new_label_errors)]
    calibration = Calibration([p["grade"] for p in points], [p["force_rmse_eV_per_A"] for p in points])
    fit = _fit_summary(metrics)
    tolerated = config.target_force_rmse or TOLERATED_FORCE_FRACTION * (
        _rms_over_atoms(points, "force_rms_eV_per_A") or 1.0
    )
    last = float(history["select_grade"])
    limit = next_limit(calibration, tolerated, last)
    if calibration.factor is None and exploration["candidates"] < MIN_FOUND_FRACTION * config.labels_per_round:
        limit = max(MIN_LIMIT, last / 2)
    n_requested = history["asked"] + oracle["asked"]
    row = {
        "round": number,
        **_label_counts(oracle),
        **fit,
        "total": n_requested,
        "explored": _exploration_summary(exploration),
        "select_grade": last,
        "families": dict(Counter(point["family"] for point in new_label_errors)),
        "fresh_force_rmse_eV_per_A": _rms_over_atoms(new_label_errors, "force_rmse_eV_per_A"),
        "fresh_energy_rmse_meV_per_atom": _root_mean_square(
            [point["energy_error_meV_per_atom"] for point in new_label_errors]
        ),
        "tolerated_force_error_eV_per_A": tolerated,
        "error_at_grade": {"factor": calibration.factor, "exponent": calibration.exponent},
    }
    return {
        **history,
        "rounds": [*history["rounds"], row],
        "points": points,
        "select_grade": limit,
        "asked": n_requested,
    }


def add_failed_round(
    history: Mapping[str, Any], exploration: Mapping[str, Any], oracle: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the history after a round in which all labels failed."""
    n_requested = history["asked"] + oracle["asked"]
    row = {
        "round": len(history["rounds"]),
        **_label_counts(oracle),
        "total": n_requested,
        "explored": _exploration_summary(exploration),
        "select_grade": history["select_grade"],
    }
    return {**history, "rounds": [*history["rounds"], row], "asked": n_requested}


def limit_may_be_lowered(history: Mapping[str, Any]) -> bool:
    """Return whether the limit may be lowered: it is not calibrated yet, and above its minimum."""
    law = history["rounds"][-1].get("error_at_grade", {"factor": None})
    return law["factor"] is None and history["select_grade"] > MIN_LIMIT


def halve_limit(history: Mapping[str, Any]) -> dict[str, Any]:
    """Return the history with half the limit, at least `MIN_LIMIT`, after an exploration without new structures."""
    limit = max(MIN_LIMIT, history["select_grade"] / 2)
    return {**history, "select_grade": limit, "idle": history.get("idle", 0) + 1}


def prediction_errors(
    frames: Sequence[Atoms],
    energies: np.ndarray,
    forces: np.ndarray,
    grades: np.ndarray,
    reference_energies: Mapping[str, float],
) -> list[dict[str, Any]]:
    """Return the errors of a potential on new labels; structures with a prediction that is not finite are omitted.

    :param frames: s labelled structures.
    :param energies: (s,) predicted energies in eV, relative to free atoms.
    :param forces: (all atoms, 3) predicted forces in eV/Å, concatenated.
    :param grades: (s,) extrapolation grade of each structure.
    :param reference_energies: energy of the free atom of each element, in eV.
    :returns: for each structure `family`, `n_atoms`, `grade`, `energy_error_meV_per_atom`, `force_rmse_eV_per_A`, and the root
        mean square of its labelled forces, `force_rms_eV_per_A`.
    """
    ends = np.cumsum([len(atoms) for atoms in frames])
    found = []
    for number, atoms in enumerate(frames):
        predicted = forces[ends[number] - len(atoms) : ends[number]]
        if not (np.isfinite(energies[number]) and np.isfinite(predicted).all()):
            continue
        free = sum(reference_energies[symbol] for symbol in atoms.get_chemical_symbols())
        results = atoms.calc.results
        found.append(
            {
                "family": str(atoms.info.get("family", "unknown")),
                "n_atoms": len(atoms),
                "grade": float(grades[number]),
                "energy_error_meV_per_atom": 1000 * float(energies[number] + free - results["energy"]) / len(atoms),
                "force_rmse_eV_per_A": float(np.sqrt(np.mean((predicted - results["forces"]) ** 2))),
                "force_rms_eV_per_A": float(np.sqrt(np.mean(np.square(results["forces"])))),
            }
        )
    return found


def target_reached(history: Mapping[str, Any], config: LearningConfig) -> bool:
    """Return whether the force error on the new labels of the last round is at most the target, with enough new labels."""
    last = history["rounds"][-1]
    error = last.get("fresh_force_rmse_eV_per_A")
    enough = sum(last.get("families", {}).values()) >= config.fewest_fresh
    return config.target_force_rmse is not None and error is not None and enough and error <= config.target_force_rmse


def _label_counts(oracle: Mapping[str, Any]) -> dict[str, int]:
    # Stored histories call requested labels `asked` and reused ones `known`.
    return {
        "asked": oracle["asked"],
        "labelled": oracle["labelled"],
        "failed": len(oracle["failed"]),
        "known": oracle.get("reused", 0),
    }


def _exploration_summary(exploration: Mapping[str, Any]) -> dict[str, Any]:
    return {key: exploration.get(key) for key in ("walkers", "steps", "largest_grade", "candidates", "ended")}


def _fit_summary(metrics: Mapping[str, Any]) -> dict[str, Any]:
    errors = {
        f"{split}_{name}": (metrics.get(split) or {}).get(name)
        for split in ("train", "test")
        for name in ("force_rmse_eV_per_A", "energy_rmse_meV_per_atom")
    }
    return {**errors, "n_functions": metrics["n_functions"], "cutoff_A": metrics["cutoff_A"]}


def _rms_over_atoms(points: Sequence[Mapping[str, Any]], key: str) -> float | None:
    """Return the root mean square over all atoms of a value per structure; None without structures."""
    weights = [point["n_atoms"] for point in points]
    squares = [point[key] ** 2 for point in points]
    return float(np.sqrt(np.average(squares, weights=weights))) if points else None


def _root_mean_square(values: Sequence[float]) -> float | None:
    return float(np.sqrt(np.mean(np.square(values)))) if len(values) else None
