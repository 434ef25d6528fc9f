"""Result files of a finished run."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from aiida import load_profile, orm
from ase.io import write

from ..config.errors import UserError
from ..dataset.trajectory import all_frames
from ..programs.files import read_arrays
from ..programs.program import link_label
from ..provenance.calls import output_of
from ..report.collect import collect
from ..report.model import Subject
from ..report.page import render
from ..training.workchain import OUTPUTS
from .progress import TRAINING

VALIDATION = "validation.json"

_SETS = (("train", "tab:blue"), ("test", "tab:red"))


def write_results(run: orm.WorkChainNode, directory: Path, report: Subject | None = None) -> list[Path]:
    """Write the result files of a finished run, including its report; existing files are replaced together.

    :param report: the data of the report if they are available already.
    :returns: the paths written.
    :raises OSError: if a file cannot be written, e.g. on a full disk; then none is replaced.
    """
    directory.mkdir(parents=True, exist_ok=True)
    outputs: dict[str, Any] = {name: output_of(run, name) for name in (*OUTPUTS, "metrics")}
    dataset = run.inputs.dataset if run.process_label == TRAINING else run.outputs.dataset
    writers: dict[str, Callable[[Path], Any]] = {
        OUTPUTS[name]: _write_copy(outputs[name]) for name in ("potential_yaml", "active_set", "potential")
    }
    origin = {"run": run.uuid, "potential": outputs["potential"].uuid, "profile": load_profile().name}
    metrics = {**outputs["metrics"].get_dict(), "aiida": origin}
    writers["metrics.json"] = lambda path: path.write_text(json.dumps(metrics, indent=2) + "\n")
    writers["dataset.extxyz"] = lambda path: write(path, all_frames(dataset), format="extxyz")
    writers["parity.png"] = lambda path: plot_parity(outputs["predictions"], path)
    writers["report.html"] = lambda path: path.write_text(render(report or collect(run)), encoding="utf-8")
    if (verdict := output_of(run, "validation")) is not None:
        writers[VALIDATION] = _write_verdict(verdict)
    return _write_together(writers, directory)


def write_validation(run: orm.WorkChainNode, directory: Path) -> list[Path]:
    """Write the verdict of a finished validation, and its structures with labels of the oracle and of the potential.

    :returns: the paths written.
    :raises OSError: if a file cannot be written; then none is replaced.
    """
    directory.mkdir(parents=True, exist_ok=True)
    outputs = run.outputs
    writers: dict[str, Callable[[Path], Any]] = {VALIDATION: _write_verdict(outputs.validation)}
    writers["labelled.extxyz"] = lambda path: write(path, all_frames(outputs.labelled), format="extxyz")
    writers["predicted.extxyz"] = lambda path: write(path, all_frames(outputs.predicted), format="extxyz")
    return _write_together(writers, directory)


def _write_verdict(node: orm.Dict) -> Callable[[Path], Any]:
    return lambda path: path.write_text(json.dumps(node.get_dict(), indent=2) + "\n")


def _write_together(writers: dict[str, Callable[[Path], Any]], directory: Path) -> list[Path]:
    """Write files to a temporary folder first, so that existing files are replaced together."""
    with _temporary_folder(directory) as folder:
        for name, write_to in writers.items():
            write_to(folder / name)
            with (folder / name).open("rb") as file:
                os.fsync(file.fileno())
        for name in writers:
            (folder / name).replace(directory / name)
    return [directory / name for name in writers]


def file_of(node: orm.Node, suffix: str) -> bytes:
    """Return the content of the file of a potential with a suffix: `.yace`, `.yaml` or `.asi`.

    :param node: the potential, another file of the same fit, or the run.
    :raises UserError: if the file does not exist.
    """
    name = next(name for name, filename in OUTPUTS.items() if filename.endswith(suffix))
    source = node if isinstance(node, orm.ProcessNode) else node.creator
    if source is not None and name in source.outputs:
        return bytes(source.outputs[name].get_content(mode="rb"))
    by_file = link_label(OUTPUTS[name])
    if source is not None and by_file in source.outputs:
        return bytes(source.outputs[by_file].get_content(mode="rb"))
    raise UserError(
        f"node {node.pk} has no {suffix} file: name a potential (mlip-auto list) or a run (mlip-auto status)"
    )


def _write_copy(node: orm.SinglefileData) -> Callable[[Path], Any]:
    return lambda path: path.write_bytes(node.get_content(mode="rb"))


@contextmanager
def _temporary_folder(directory: Path) -> Iterator[Path]:
    """Yield a temporary folder in a folder, for files that are moved there when complete."""
    with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=directory) as folder:
        yield Path(folder)


def plot_parity(predictions: orm.SinglefileData, path: Path) -> None:
    """Plot predicted against reference energies per atom and force components, for train and test."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    data = read_arrays(predictions)
    figure = Figure(figsize=(10, 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    energies, forces = figure.subplots(1, 2)
    split = data["split"]
    atom_split = split[data["structure_index"]]
    _parity(
        energies,
        data["energy_reference"],
        data["energy_predicted"],
        split,
        "total energy",
        "eV/atom",
        1000,
        "meV/atom",
    )
    _parity(
        forces, data["forces_reference"], data["forces_predicted"], atom_split, "force component", "eV/Å", 1, "eV/Å"
    )
    figure.savefig(path, dpi=150, format="png")


def _parity(
    axes: Any,
    reference: np.ndarray,
    predicted: np.ndarray,
    split: np.ndarray,
    quantity: str,
    unit: str,
    factor: float,
    error_unit: str,
) -> None:
    for name, colour in _SETS:
        selected = split == name
        if not selected.any():
            continue
        x, y = reference[selected].ravel(), predicted[selected].ravel()
        rmse = factor * float(np.sqrt(np.mean((x - y) ** 2)))
        axes.plot(
            x, y, ".", ms=4, alpha=0.6, color=colour, label=f"{name}: RMSE {rmse:.3g} {error_unit}", rasterized=True
        )
    low, high = float(reference.min()), float(reference.max())
    axes.plot([low, high], [low, high], "-", lw=0.8, color="black", zorder=0)
    axes.set_xlabel(f"reference {quantity} ({unit})")
    axes.set_ylabel(f"predicted {quantity} ({unit})")
    axes.legend(frameon=False)
