"""The history of a learning potential: what each round asked, found and learned. Plain data, ready for JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ase import Atoms

from ..config.schemas.learning import LearningConfig
from .calibration import LOWEST_LIMIT, Calibration, next_limit

ENDS = {
    "explored": "exploration met nothing beyond the limit",
    "target": "the error on fresh labels is below the target",
    "budget": "the labels are spent",
    "failed": "it failed",
}
"""Why active learning ended, in words."""

FEW = 0.5
"""Part of the labels of a round that exploration must at least have found, or a limit of which nothing is known is lowered."""

TOLERATED = 0.1
"""Error of the forces of structures that need no label, over the forces on those that exploration found, if there is no target:
one that does not depend on how good the potential is yet."""


def begin(oracle: Mapping[str, Any], metrics: Mapping[str, Any], limit: float) -> dict[str, Any]:
    """Return the history after the start.

    :param oracle: the report of the oracle.
    :param metrics: of the first fit.
    :param limit: the first limit of the extrapolation grade.
    :returns: `rounds`, the first of them the start; `points`, the grade and error of each fresh label; `select_grade`, the
        next limit; `asked`, labels spent. Later also `idle`, the number of explorations that met nothing beyond the limit.
    """
    start = {"round": 0, **_labels(oracle), **_fit(metrics), "total": oracle["asked"]}
    return {"rounds": [start], "points": [], "select_grade": limit, "asked": oracle["asked"]}


def add_round(
    history: Mapping[str, Any],
    exploration: Mapping[str, Any],
    oracle: Mapping[str, Any],
    fresh: Sequence[Mapping[str, Any]],
    metrics: Mapping[str, Any],
    config: LearningConfig,
) -> dict[str, Any]:
    """Return the history after one more round.

    :param exploration: the report of the exploration.
    :param oracle: the report of the oracle.
    :param fresh: of each label what :func:`errors_of` says.
    :param metrics: of the fit with these labels.
    """
    number = len(history["rounds"])
    points = [*history["points"], *({**point, "round": number} for point in fresh)]
    calibration = Calibration([p["grade"] for p in points], [p["force_rmse_eV_per_A"] for p in points])
    fit = _fit(metrics)
    tolerated = config.target_force_rmse or TOLERATED * (_over_atoms(points, "force_rms_eV_per_A") or 1.0)
    last = float(history["select_grade"])
    limit = next_limit(calibration, tolerated, last)
    if calibration.factor is None and exploration["candidates"] < FEW * config.labels_per_round:
        limit = max(LOWEST_LIMIT, last / 2)
    asked = history["asked"] + oracle["asked"]
    row = {
        "round": number,
        **_labels(oracle),
        **fit,
        "total": asked,
        "explored": _explored(exploration),
        "select_grade": last,
        "families": dict(Counter(point["family"] for point in fresh)),
        "fresh_force_rmse_eV_per_A": _over_atoms(fresh, "force_rmse_eV_per_A"),
        "fresh_energy_rmse_meV_per_atom": _root_mean_square([point["energy_error_meV_per_atom"] for point in fresh]),
        "tolerated_force_error_eV_per_A": tolerated,
        "error_at_grade": {"factor": calibration.factor, "exponent": calibration.exponent},
    }
    return {
        **history,
        "rounds": [*history["rounds"], row],
        "points": points,
        "select_grade": limit,
        "asked": asked,
    }


def add_failed_round(
    history: Mapping[str, Any], exploration: Mapping[str, Any], oracle: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the history after a round in which the oracle failed on every structure."""
    asked = history["asked"] + oracle["asked"]
    row = {
        "round": len(history["rounds"]),
        **_labels(oracle),
        "total": asked,
        "explored": _explored(exploration),
        "select_grade": history["select_grade"],
    }
    return {**history, "rounds": [*history["rounds"], row], "asked": asked}


def may_be_lower(history: Mapping[str, Any]) -> bool:
    """Tell whether a limit beyond which nothing was met says little: no labels have told yet what error it means."""
    law = history["rounds"][-1].get("error_at_grade", {"factor": None})
    return law["factor"] is None and history["select_grade"] > LOWEST_LIMIT


def lower(history: Mapping[str, Any]) -> dict[str, Any]:
    """Return the history with half the limit, after an exploration that met nothing beyond it."""
    limit = max(LOWEST_LIMIT, history["select_grade"] / 2)
    return {**history, "select_grade": limit, "idle": history.get("idle", 0) + 1}


def errors_of(
    frames: Sequence[Atoms],
    energies: np.ndarray,
    forces: np.ndarray,
    grades: np.ndarray,
    reference_energies: Mapping[str, float],
) -> list[dict[str, Any]]:
    """Return how wrong a potential was about labelled structures it had not seen; those it could not evaluate are left out.

    :param energies: (s,) eV, counted from free atoms.
    :param forces: (all atoms, 3) eV/Å, one structure after the other.
    :param grades: (s,) the largest extrapolation grade of each.
    :param reference_energies: eV, of the free atom of each element.
    :returns: of each `family`, `n_atoms`, `grade`, `energy_error_meV_per_atom`, `force_rmse_eV_per_A`, and the root mean
        square of its true forces, `force_rms_eV_per_A`.
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


def reached(history: Mapping[str, Any], config: LearningConfig) -> bool:
    """Tell whether the error on the fresh labels of the last round is below the target."""
    last = history["rounds"][-1]
    error = last.get("fresh_force_rmse_eV_per_A")
    enough = sum(last.get("families", {}).values()) >= config.fewest_fresh
    return config.target_force_rmse is not None and error is not None and enough and error <= config.target_force_rmse


def _labels(oracle: Mapping[str, Any]) -> dict[str, int]:
    return {
        "asked": oracle["asked"],
        "labelled": oracle["labelled"],
        "failed": len(oracle["failed"]),
        "known": oracle.get("reused", 0),
    }


def _explored(exploration: Mapping[str, Any]) -> dict[str, Any]:
    return {key: exploration.get(key) for key in ("walkers", "steps", "largest_grade", "candidates", "ended")}


def _fit(metrics: Mapping[str, Any]) -> dict[str, Any]:
    errors = {
        f"{split}_{name}": (metrics.get(split) or {}).get(name)
        for split in ("train", "test")
        for name in ("force_rmse_eV_per_A", "energy_rmse_meV_per_atom")
    }
    return {**errors, "n_functions": metrics["n_functions"], "cutoff_A": metrics["cutoff_A"]}


def _over_atoms(points: Sequence[Mapping[str, Any]], key: str) -> float | None:
    """Return the root mean square, over all atoms, of what is one for each structure; None without structures."""
    weights = [point["n_atoms"] for point in points]
    squares = [point[key] ** 2 for point in points]
    return float(np.sqrt(np.average(squares, weights=weights))) if points else None


def _root_mean_square(values: Sequence[float]) -> float | None:
    return float(np.sqrt(np.mean(np.square(values)))) if len(values) else None
