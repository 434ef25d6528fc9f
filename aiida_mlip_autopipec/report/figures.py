"""The figures of a report. Points, one a structure, are drawn in the browser; all else is here."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from markupsafe import Markup

from .findings import HELPS
from .kinds import Group
from .model import Coverage, Stage, Structures, Validation
from .svg import Plot, Scale

DARK, BLUE, ORANGE = "#222222", "#0072b2", "#d55e00"

LEAST_ENERGY_ERROR, LEAST_FORCE_ERROR = 1e-2, 1e-4
"""Errors (meV/atom, eV/Å) below this are drawn there: on a logarithmic axis zero has no place."""

CELLS, PLACES = 90, 2000
"""Number of cells along each side of a map of densities, and of places along each axis where a point may be."""

_ROW = 27

_BRANCH = re.compile(r" branch \d+$")


@dataclass(frozen=True)
class Cloud:
    """Points that the browser draws over a plot.

    :ivar points: places of the structures along both axes, -1 if they have none.
    :ivar density: for each kind the numbers of the cells (row times their number plus column) and what falls into them.
    """

    points: tuple[list[int], list[int]]
    density: dict[int, tuple[list[int], list[int]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Figure:
    """A plot with its caption."""

    name: str
    caption: str
    plot: Markup
    box: dict[str, float]
    cloud: Cloud | None = None


def make_figure(name: str, caption: str, plot: Plot, cloud: Cloud | None = None) -> Figure:
    """Return a plot with its caption as a figure."""
    return Figure(name, caption, plot.svg(), plot.box, cloud)


def _places(scale: Scale, values: np.ndarray) -> list[int]:
    places = np.nan_to_num(scale.place(values) * PLACES, nan=-1.0)
    return [int(place) for place in np.rint(places)]


def energy_parity(structures: Structures) -> Figure:
    """Return predicted against reference energies."""
    reference, predicted = structures.energy_reference, structures.energy_predicted
    scale = Scale.over(np.concatenate([reference, predicted]))
    plot = Plot(scale, scale, "oracle: energy over free atoms (eV/atom)", "potential (eV/atom)")
    plot.line([scale.low, scale.high], [scale.low, scale.high], DARK, width=1)
    cloud = Cloud((_places(scale, reference), _places(scale, predicted)))
    return make_figure("energy-parity", "Energies: on the line they are right.", plot, cloud)


def force_parity(structures: Structures) -> Figure:
    """Return predicted against reference forces: the density of all components, and the worst one of each structure."""
    reference, predicted = (part.ravel() for part in structures.forces)
    scale = Scale.over(np.concatenate([reference, predicted]), "asinh")
    plot = Plot(scale, scale, "oracle: force component (eV/Å)", "potential (eV/Å)")
    plot.line([scale.low, scale.high], [scale.low, scale.high], DARK, width=1)
    kinds = np.repeat(structures.kinds[structures.atoms], 3)
    columns, rows = (np.minimum(scale.place(part) * CELLS, CELLS - 1).astype(int) for part in (reference, predicted))
    cells = rows * CELLS + columns
    density = {}
    for kind in np.unique(kinds).tolist():
        numbers, counts = np.unique(cells[kinds == kind], return_counts=True)
        density[kind] = (numbers.tolist(), counts.tolist())
    worst = structures.worst_component
    cloud = Cloud((_places(scale, worst[:, 0]), _places(scale, worst[:, 1])), density)
    caption = (
        "Forces: shading for all components, a point for the most wrong component of each structure. "
        "Logarithmic beyond 1 eV/Å."
    )
    return make_figure("force-parity", caption, plot, cloud)


def error_strips(structures: Structures, groups: Sequence[Group], quantity: str) -> Figure:
    """Return the errors of energies or forces of all structures, a row for each group of kinds.

    :param quantity: `energy` or `force`.
    """
    if quantity == "energy":
        errors, least, label = np.abs(structures.energy_error), LEAST_ENERGY_ERROR, "error of energy (meV/atom)"
    else:
        errors, least, label = structures.force_rmse, LEAST_FORCE_ERROR, "root mean square error of forces (eV/Å)"
    errors = np.maximum(errors, least)
    x = Scale.over(np.append(errors, 10 * least), "log")
    y = Scale(0.0, float(len(groups)))
    height = 80 + _ROW * len(groups)
    plot = Plot(x, y, label, "", height=height, rows=[group.name for group in groups])
    centre = np.zeros(len(structures.kind_names))
    for number, group in enumerate(groups):
        middle = len(groups) - number - 0.5
        centre[list(group.kinds)] = middle
        own = errors[np.isin(structures.kinds, group.kinds)]
        for quantile, reach in ((0.5, 0.42), (0.95, 0.25)):
            value = float(np.quantile(own, quantile))
            for colour, width in (("white", 5.0), (DARK, 2.2)):
                plot.line([value, value], [middle - reach, middle + reach], colour, width=width)
    # Points of a row are spread so that they do not hide each other, always in the same way.
    spread = 0.6 * (np.random.default_rng(0).random(len(structures)) - 0.5)
    cloud = Cloud((_places(x, errors), _places(y, centre[structures.kinds] + spread)))
    caption = (
        "Long marks: the median of the kind; short marks: 95 % of its structures are better. "
        "Errors smaller than the axis lie at its edge."
    )
    return make_figure(f"{quantity}-errors", caption, plot, cloud)


def covered(structures: Structures, cutoff: float) -> Figure:
    """Return energies against the shortest distance: from pressed crystals to atoms far apart."""
    x, y = Scale.over(np.append(structures.shortest, cutoff)), Scale.over(structures.energy_reference)
    plot = Plot(x, y, "shortest distance in the structure (Å)", "oracle: energy over free atoms (eV/atom)")
    _mark_cutoff(plot, cutoff)
    cloud = Cloud((_places(x, structures.shortest), _places(y, structures.energy_reference)))
    return make_figure("coverage", "What the potential has seen: beyond these points it guesses.", plot, cloud)


def _mark_cutoff(plot: Plot, cutoff: float) -> None:
    plot.line([cutoff, cutoff], [plot.y.low, plot.y.high], DARK, dash="5 4", width=1.2)
    height = plot.y.low + 0.94 * (plot.y.high - plot.y.low)
    plot.text(cutoff - 0.01 * (plot.x.high - plot.x.low), height, "cutoff", anchor="end")


def distance_histogram(coverage: Coverage, pair: str, cutoff: float) -> Figure:
    """Return how often distances occur in the dataset, for two elements, over what space there is at that distance."""
    counts, edges = coverage.counts[pair], coverage.edges
    dense = counts / (4.0 / 3.0 * np.pi * (edges[1:] ** 3 - edges[:-1] ** 3)) / coverage.n_atoms
    x = Scale(0.0, float(edges[-1]))
    y = Scale(0.0, 1.08 * (float(dense.max(initial=0.0)) or 1.0))
    plot = Plot(x, y, f"distance {pair} (Å)", "neighbours of an atom per Å³", height=260)
    for low, high, height, count in zip(edges[:-1], edges[1:], dense, counts, strict=True):
        if count:
            plot.bar((low, high), (0.0, height), BLUE, f"{low:.1f} to {high:.1f} Å: {count}")
    _mark_cutoff(plot, cutoff)
    seen = edges[np.flatnonzero(counts)]
    nearest = f"the shortest is {seen[0]:.1f} Å" if seen.size else "none"
    return make_figure(f"distances-{pair}", f"Distances {pair} in the dataset: {nearest}.", plot)


def composition_bars(coverage: Coverage, most: int = 15) -> Figure:
    """Return the number of structures of the most frequent compositions."""
    shown = list(coverage.compositions.items())
    if len(shown) > most:
        shown = [*shown[: most - 1], ("all others", sum(count for _, count in shown[most - 1 :]))]
    return _bars(
        "compositions", "Composition of the dataset.", [(name, float(count)) for name, count in shown], "structures"
    )


def time_bars(stages: Sequence[Stage]) -> Figure:
    """Return where the time went."""
    seconds = max((stage.seconds for stage in stages), default=0.0)
    unit, length = ("h", 3600.0) if seconds > 7200 else ("min", 60.0) if seconds > 120 else ("s", 1.0)
    bars = [(stage.name, stage.seconds / length) for stage in stages]
    return _bars("time", "Where the time went, from the start to the end of each stage.", bars, f"time ({unit})")


def _bars(name: str, caption: str, bars: Sequence[tuple[str, float]], label: str) -> Figure:
    x = Scale(0.0, 1.18 * max([value for _, value in bars] + [1e-9]))
    y = Scale(0.0, float(max(1, len(bars))))
    plot = Plot(x, y, label, "", height=64 + _ROW * len(bars), rows=[row for row, _ in bars])
    for number, (row, value) in enumerate(bars):
        middle = len(bars) - number - 0.5
        plot.bar((0.0, value), (middle - 0.32, middle + 0.32), BLUE, f"{row}: {value:.4g}")
        plot.text(value + 0.01 * x.high, middle - 0.15, f"{value:.3g}")
    return make_figure(name, caption, plot)


def learning_curves(metrics: dict[str, Any]) -> list[Figure]:
    """Return the errors in cross-validation with fewer structures and with fewer functions, as far as the fit told them."""
    curves = metrics.get("learning_curve") or {}
    figures = []
    for name, key, what in (
        ("by_structures", "n_structures", "structures fitted to"),
        ("by_functions", "n_functions", "functions"),
    ):
        points = curves.get(name, [])
        if len(points) < 2:
            continue
        xs = [point[key] for point in points]
        energies, forces = ([point[error] for point in points] for error in ("energy_rms", "force_rms"))
        x, y = (
            Scale.over(np.array(xs), "log"),
            Scale.over(np.array([*energies, *forces, 1.2 * max(energies[0], forces[0])]), "log"),
        )
        plot = Plot(x, y, what, "error in cross-validation", height=260)
        for values, colour, unit in ((energies, ORANGE, "energies (eV/√atom)"), (forces, BLUE, "forces (eV/Å)")):
            plot.line(xs, values, colour)
            plot.dots(xs, values, colour)
            # The lines fall: to the right of their beginning there is room.
            plot.text(xs[0] * (x.high / x.low) ** 0.03, values[0], unit, colour=colour, above=7)
        falls = "still falls" if forces[-1] < HELPS * forces[-2] else "no longer falls much"
        caption = f"With more {key.removeprefix('n_')} the error of forces {falls}."
        figures.append(make_figure(f"learning-{name.removeprefix('by_')}", caption, plot))
    return figures


def validation_curves(validation: Validation) -> list[Figure]:
    """Return the curves of a validation, potential and oracle; the branches of one dispersion in one plot."""
    together: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for curve in validation.curves:
        together[_BRANCH.sub("", str(curve["name"]))].append(curve)
    figures: list[Figure] = []
    for name, curves in together.items():
        potential = [_known(curve["x"], curve["potential"]) for curve in curves]
        oracle = [_known(curve["x"], curve["oracle"]) for curve in curves if curve.get("oracle")]
        points = np.array([point for series in (*potential, *oracle) for point in series])
        if points.size == 0:
            continue
        x_label, y_label = curves[0]["x_label"], curves[0]["y_label"]
        plot = Plot(Scale.over(points[:, 0]), Scale.over(points[:, 1]), x_label, y_label, height=280)
        for series in potential:
            plot.line([x for x, _ in series], [y for _, y in series], BLUE)
        for series in oracle:
            plot.dots([x for x, _ in series], [y for _, y in series], ORANGE, hollow=True)
        figures.append(make_figure(f"validation-{len(figures)}", name, plot))
    return figures


def _known(xs: Sequence[float], ys: Sequence[float | None]) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in zip(xs, ys, strict=False) if y is not None]
