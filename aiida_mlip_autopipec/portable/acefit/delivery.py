"""What is delivered beside the potential: the errors of the very file, the choices and their reasons, versions."""

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
from acecommon.errors import ExplainedError, log

from .data import Frame, ReferenceEnergies
from .evaluation import errors_of, evaluation_time, predict
from .memory import peak_memory_mb

PREDICTIONS, METRICS = "predictions.npz", "metrics.json"


def versions() -> dict[str, str]:
    """Return the versions of what the result depends on."""
    found = {"python": platform.python_version()}
    for package in ("python-ace", "numpy", "scipy", "ase"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def deliver(
    yace: Path, frames: Sequence[Frame], reference: ReferenceEnergies, facts: dict[str, Any], workers: int
) -> dict[str, Any]:
    """Evaluate the file as it will be used; write metrics and predictions beside it, and return the metrics.

    :param facts: what the metrics say beyond the errors.
    :raises ExplainedError: if the potential is not finite everywhere.
    """
    predictions = predict(yace, frames, workers)
    if not all(math.isfinite(energy) and np.isfinite(forces).all() for energy, forces in predictions):
        raise ExplainedError("diverged", "the potential gives energies or forces that are not finite")

    def errors(condition: Callable[[Frame], bool]) -> dict[str, Any] | None:
        numbers = [number for number, frame in enumerate(frames) if condition(frame)]
        return errors_of([frames[n] for n in numbers], [predictions[n] for n in numbers], reference)

    metrics: dict[str, Any] = {"train": errors(_in_split("train")), "test": errors(_in_split("test"))}
    if metrics["test"] is None:
        log("no structure is marked to test on: the errors on train are all there is")
    metrics["test_overlap"] = _overlap(frames)
    families = sorted({frame.family for frame in frames})
    metrics["families"] = {family: errors(_in_family(family)) for family in families}
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


def _in_split(split: str) -> Callable[[Frame], bool]:
    return lambda frame: frame.split == split


def _in_family(family: str) -> Callable[[Frame], bool]:
    return lambda frame: frame.family == family


def _overlap(frames: Sequence[Frame]) -> int:
    """Return the number of structures to test on that equal one to train on."""
    trained = {frame.group for frame in frames if frame.split == "train"}
    overlap = sum(frame.split == "test" and frame.group in trained for frame in frames)
    if overlap:
        log(f"{overlap} structures to test on are also among those to train on: the errors on test are too good")
    return overlap


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
