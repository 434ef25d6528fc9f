"""What a finished run hands over as files."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from aiida import orm
from ase.io import write

from ..dataset.trajectory import all_frames
from ..trainer.workflow import OUTPUTS

_SETS = (("train", "tab:blue"), ("test", "tab:red"))


def write_results(run: orm.WorkChainNode, directory: Path) -> list[Path]:
    """Write the potential, metrics, dataset and parity plot of a finished run; existing files are replaced whole.

    :returns: the paths written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    outputs = run.outputs
    dataset = outputs.dataset if "dataset" in outputs else run.inputs.dataset
    writers: dict[str, Callable[[Path], Any]] = {
        OUTPUTS[name]: _copy_of(outputs[name]) for name in ("potential_yaml", "active_set", "potential")
    }
    writers["metrics.json"] = lambda path: path.write_text(json.dumps(outputs.metrics.get_dict(), indent=2) + "\n")
    writers["dataset.extxyz"] = lambda path: write(path, all_frames(dataset), format="extxyz")
    writers["parity.png"] = lambda path: plot_parity(outputs.predictions, path)
    written = []
    for name, write_to in writers.items():
        with _replacing(directory / name) as beside:
            write_to(beside)
        written.append(directory / name)
    return written


def _copy_of(node: orm.SinglefileData) -> Callable[[Path], Any]:
    return lambda path: path.write_bytes(node.get_content(mode="rb"))


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Write beside a file and put it in its place when it is whole."""
    beside = path.with_name(f".{path.name}.part")
    try:
        yield beside
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


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
