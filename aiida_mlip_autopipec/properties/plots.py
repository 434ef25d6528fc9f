"""Plots of results by matplotlib."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..dataset.files.writing import replacing


def write_plots(results: Sequence[Mapping[str, Any]], folder: Path) -> list[Path]:
    """Write a PNG of each plot of results, and return the paths."""
    written = []
    for result in results:
        for plot in result["plots"]:
            name = re.sub(r"\W+", "_", f"{result['structure']}_{plot['name']}")
            path = folder / f"{name}.png"
            with replacing(path) as temporary:
                figure(plot, result["structure"]).savefig(temporary, dpi=150, format="png")
            written.append(path)
    return written


def figure(plot: Mapping[str, Any], title: str) -> Any:
    """Return the matplotlib figure of a plot."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = plot["panels"]
    made = Figure(figsize=(6.4 if len(panels) < 2 else 8.0, 4.8), layout="constrained")
    FigureCanvasAgg(made)
    if plot["faces"]:
        _draw_solid(made, plot["faces"])
    else:
        axes = made.subplots(
            1, len(panels), sharey=True, squeeze=False, width_ratios=[each["width"] for each in panels]
        )[0]
        for place, panel in zip(axes, panels, strict=True):
            _draw_panel(place, panel)
    made.suptitle(f"{title}: {plot['name']}")
    return made


def with_exponents(label: str) -> str:
    """Return the label of an axis with raised exponents: Å³ for Å^3."""
    return label.replace("^2", "²").replace("^3", "³")


def _draw_panel(axes: Any, panel: Mapping[str, Any]) -> None:
    for number, line in enumerate(panel["lines"]):
        x, y = (np.array([np.nan if v is None else v for v in line[key]], dtype=float) for key in ("x", "y"))
        colour = f"C{number % 10}" if line["label"] else "C0"
        style = "o-" if line["points"] else "-"
        axes.plot(x, y, style, ms=4, lw=1.2, color=colour, label=line["label"] or None)
    if any(line["label"] for line in panel["lines"]):
        axes.legend(frameon=False, fontsize="small")
    if panel["ticks"]:
        axes.set_xticks([place for place, _ in panel["ticks"]], [name for _, name in panel["ticks"]])
        for place, _ in panel["ticks"]:
            axes.axvline(place, lw=0.6, color="0.7", zorder=0)
        axes.axhline(0.0, lw=0.6, color="0.7", zorder=0)
        axes.set_xlim(panel["ticks"][0][0], panel["ticks"][-1][0])
    axes.set_xlabel(with_exponents(panel["x_label"]))
    axes.set_ylabel(with_exponents(panel["y_label"]))


def _draw_solid(made: Any, faces: Mapping[str, Sequence[Any]]) -> None:
    from matplotlib.patches import Patch
    from mpl_toolkits.mplot3d.art3d import Poly3DCollection

    axes = made.add_subplot(projection="3d")
    labels = [label for label, polygons in faces.items() for _ in polygons]
    colours = {label: f"C{number % 10}" for number, label in enumerate(faces)}
    # One collection, since matplotlib sorts by depth only within a collection.
    polygons = [np.array(polygon) for found in faces.values() for polygon in found]
    axes.add_collection3d(
        Poly3DCollection(polygons, facecolors=[colours[label] for label in labels], edgecolors="k", lw=0.8)
    )
    patches = [Patch(color=colour, label=label) for label, colour in colours.items()]
    reach = max(float(np.abs(polygon).max()) for polygon in polygons)
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), zlim=(-reach, reach), box_aspect=(1, 1, 1))
    axes.set_axis_off()
    axes.legend(handles=patches, frameon=False)
