"""What a finished run hands over as files."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from aiida import load_profile, orm
from ase.io import write

from ..config.read import ConfigError
from ..dataset.trajectory import all_frames
from ..jobs import link_label
from ..report.collect import collect
from ..report.page import render
from ..trainer.workflow import OUTPUTS

VALIDATION = "validation.json"

_SETS = (("train", "tab:blue"), ("test", "tab:red"))


def write_results(run: orm.WorkChainNode, directory: Path) -> list[Path]:
    """Write the files of a finished run, its report among them; those of another run are replaced together.

    :returns: the paths written.
    :raises OSError: if they cannot be written, e.g. for want of space; then nothing is.
    """
    directory.mkdir(parents=True, exist_ok=True)
    outputs = run.outputs
    dataset = outputs.dataset if "dataset" in outputs else run.inputs.dataset
    writers: dict[str, Callable[[Path], Any]] = {
        OUTPUTS[name]: _copy_of(outputs[name]) for name in ("potential_yaml", "active_set", "potential")
    }
    origin = {"run": run.uuid, "potential": outputs.potential.uuid, "profile": load_profile().name}
    metrics = {**outputs.metrics.get_dict(), "aiida": origin}
    writers["metrics.json"] = lambda path: path.write_text(json.dumps(metrics, indent=2) + "\n")
    writers["dataset.extxyz"] = lambda path: write(path, all_frames(dataset), format="extxyz")
    writers["parity.png"] = lambda path: plot_parity(outputs.predictions, path)
    writers["report.html"] = lambda path: path.write_text(render(collect(run)), encoding="utf-8")
    if "validation" in outputs:
        writers[VALIDATION] = _verdict_of(outputs.validation)
    return _write_together(writers, directory)


def write_validation(run: orm.WorkChainNode, directory: Path) -> list[Path]:
    """Write the verdict of a finished validation, and the structures with the labels of the oracle and of the potential.

    :returns: the paths written.
    :raises OSError: if they cannot be written; then nothing is.
    """
    directory.mkdir(parents=True, exist_ok=True)
    outputs = run.outputs
    writers: dict[str, Callable[[Path], Any]] = {VALIDATION: _verdict_of(outputs.validation)}
    writers["labelled.extxyz"] = lambda path: write(path, all_frames(outputs.labelled), format="extxyz")
    writers["predicted.extxyz"] = lambda path: write(path, all_frames(outputs.predicted), format="extxyz")
    return _write_together(writers, directory)


def _verdict_of(node: orm.Dict) -> Callable[[Path], Any]:
    return lambda path: path.write_text(json.dumps(node.get_dict(), indent=2) + "\n")


def _write_together(writers: dict[str, Callable[[Path], Any]], directory: Path) -> list[Path]:
    """Write files beside their places first, so that those of another run are replaced together."""
    with _beside(directory) as folder:
        for name, write_to in writers.items():
            write_to(folder / name)
        for name in writers:
            (folder / name).replace(directory / name)
    return [directory / name for name in writers]


def file_of(node: orm.Node, suffix: str) -> bytes:
    """Return the content of the file of a potential that has a suffix: `.yace`, `.yaml` or `.asi`.

    :param node: the potential, another file of the same fit, or the run.
    :raises ConfigError: if there is no such file.
    """
    name = next(name for name, filename in OUTPUTS.items() if filename.endswith(suffix))
    source = node if isinstance(node, orm.ProcessNode) else node.creator
    if source is not None and name in source.outputs:
        return bytes(source.outputs[name].get_content(mode="rb"))
    by_file = link_label(OUTPUTS[name])
    if source is not None and by_file in source.outputs:
        return bytes(source.outputs[by_file].get_content(mode="rb"))
    raise ConfigError(
        f"node {node.pk} has no {suffix} file: name a potential (mlip-auto list) or a run (mlip-auto status)"
    )


def _copy_of(node: orm.SinglefileData) -> Callable[[Path], Any]:
    return lambda path: path.write_bytes(node.get_content(mode="rb"))


@contextmanager
def _beside(directory: Path) -> Iterator[Path]:
    """Yield a folder in a folder, in which files become whole before any takes its place."""
    with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=directory) as folder:
        yield Path(folder)


def plot_parity(predictions: orm.SinglefileData, path: Path) -> None:
    """Plot predicted against reference energies per atom and force components, for train and test."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with np.load(io.BytesIO(predictions.get_content(mode="rb")), allow_pickle=False) as arrays:
        data = {name: arrays[name] for name in arrays.files}
    figure = Figure(figsize=(10, 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    energies, forces = figure.subplots(1, 2)
    of_structure = data["split"]
    of_atom = of_structure[data["structure_index"]]
    _parity(
        energies,
        data["energy_reference"],
        data["energy_predicted"],
        of_structure,
        "energy",
        "eV/atom",
        1000,
        "meV/atom",
    )
    _parity(forces, data["forces_reference"], data["forces_predicted"], of_atom, "force component", "eV/Å", 1, "eV/Å")
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
        chosen = split == name
        if not chosen.any():
            continue
        x, y = reference[chosen].ravel(), predicted[chosen].ravel()
        rmse = factor * float(np.sqrt(np.mean((x - y) ** 2)))
        axes.plot(
            x, y, ".", ms=4, alpha=0.6, color=colour, label=f"{name}: RMSE {rmse:.3g} {error_unit}", rasterized=True
        )
    low, high = float(reference.min()), float(reference.max())
    axes.plot([low, high], [low, high], "-", lw=0.8, color="black", zorder=0)
    axes.set_xlabel(f"reference {quantity} ({unit})")
    axes.set_ylabel(f"predicted {quantity} ({unit})")
    axes.legend(frameon=False)
