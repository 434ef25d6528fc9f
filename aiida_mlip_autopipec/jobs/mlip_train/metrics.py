"""The metrics of a fit: errors of the potential file, chosen settings and their reasons, versions."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import math
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mlip_common.errors import ProgramError, log

from .data import Frame, ReferenceEnergies
from .evaluation import errors_of, evaluation_time, predict
from .memory import peak_memory_mb

PREDICTIONS, METRICS = "predictions.npz", "metrics.json"


def versions() -> dict[str, str]:
    """Return the versions of Python and the packages that the result depends on."""
    found = {"python": platform.python_version()}
    for package in ("python-ace", "numpy", "scipy", "ase"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def compute_metrics(
    yace: Path, frames: Sequence[Frame], reference: ReferenceEnergies, facts: dict[str, Any], workers: int
) -> dict[str, Any]:
    """Evaluate the potential file, write the predictions next to it, and return the metrics.

    :param facts: further entries of the metrics.
    :raises ProgramError: of the kind `diverged`, if a prediction is not finite.
    """
    predictions = predict(yace, frames, workers)
    if not all(math.isfinite(energy) and np.isfinite(forces).all() for energy, forces in predictions):
        raise ProgramError("diverged", "the potential gives energies or forces that are not finite")

    metrics = split_errors(frames, predictions, reference)
    if metrics["test_overlap"]:
        log(
            f"{metrics['test_overlap']} test structures equal training structures and are excluded from the test errors"
        )
    if metrics["test"] is None:
        log("all test structures equal training structures: there are only training errors")
    metrics |= facts
    metrics["microseconds_per_atom"] = evaluation_time(yace, frames)
    metrics["peak_memory_MB"] = peak_memory_mb()
    metrics["versions"] = versions()
    _write_predictions(yace.with_name(PREDICTIONS), frames, predictions, reference)
    for split in ("train", "test"):
        if metrics[split]:
            log(
                f"{split}: energy RMSE {metrics[split]['energy_rmse_meV_per_atom']:.2f} meV/atom, "
                f"force RMSE {metrics[split]['force_rmse_eV_per_A']:.4f} eV/Å"
            )
    return metrics


def write_metrics(metrics: dict[str, Any], folder: Path) -> None:
    """Write `metrics.json`."""
    (folder / METRICS).write_text(json.dumps(metrics, indent=2))


def split_errors(
    frames: Sequence[Frame], predictions: Sequence[tuple[float, np.ndarray]], reference: ReferenceEnergies
) -> dict[str, Any]:
    """Return the errors on `train` and `test`, and the same for each family in `families`.

    Test structures that equal training structures are excluded from the test errors. Their number is `test_overlap`; if it is
    not 0, `test_with_overlap` holds the errors on all test structures.
    """
    overlapping = _overlapping_groups(frames)

    def errors(condition: Callable[[Frame], bool], family: str | None = None) -> dict[str, Any] | None:
        numbers = [number for number, frame in enumerate(frames) if condition(frame) and family in (None, frame.family)]
        return errors_of([frames[n] for n in numbers], [predictions[n] for n in numbers], reference)

    def is_unseen(frame: Frame) -> bool:
        return frame.split == "test" and frame.group not in overlapping

    found: dict[str, Any] = {
        "train": errors(lambda frame: frame.split == "train"),
        "test": errors(is_unseen),
        "test_overlap": sum(frame.split == "test" and frame.group in overlapping for frame in frames),
    }
    if found["test_overlap"]:
        found["test_with_overlap"] = errors(lambda frame: frame.split == "test")
    found["families"] = {
        family: {
            "train": errors(lambda frame: frame.split == "train", family),
            "test": errors(is_unseen, family),
        }
        for family in sorted({frame.family for frame in frames})
    }
    return found


def _overlapping_groups(frames: Sequence[Frame]) -> set[int]:
    """Return the groups of equal structures with both test and training structures."""
    train, test = ({frame.group for frame in frames if frame.split == split} for split in ("train", "test"))
    return train & test


def _write_predictions(
    path: Path,
    frames: Sequence[Frame],
    predictions: Sequence[tuple[float, np.ndarray]],
    reference: ReferenceEnergies,
) -> None:
    sizes = np.array([len(frame.atoms) for frame in frames])
    predicted = np.array([energy + reference.of(f.atoms) for f, (energy, _) in zip(frames, predictions, strict=True)])
    with path.open("wb") as handle:
        np.savez(
            handle,
            split=np.array([frame.split for frame in frames]),
            family=np.array([frame.family for frame in frames]),
            energy_reference=np.array([frame.energy for frame in frames]) / sizes,
            energy_predicted=predicted / sizes,
            structure_index=np.repeat(np.arange(len(frames)), sizes),
            forces_reference=np.concatenate([frame.forces for frame in frames]),
            forces_predicted=np.concatenate([forces for _, forces in predictions]),
        )
