"""Figures of a report as SVG; the browser adds the points of single structures."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from markupsafe import Markup

from ..properties.plots import with_exponents
from .diagnosis import last_change
from .findings import MIN_OF_A_KIND
from .kinds import Group
from .model import Coverage, StageTime, Structures, Validation
from .plot import DARK, Plot, Scale

BLUE, ORANGE = "#0072b2", "#d55e00"

MIN_ENERGY_ERROR, MIN_FORCE_ERROR = 1e-2, 1e-4
"""Errors (meV/atom, eV/Å) below this are drawn at this value, since a logarithmic axis has no zero."""

CELLS, PLACES = 90, 2000
"""Resolution along each axis of density maps, and of the positions of points."""

_ROW = 27

_BRANCH = re.compile(r" branch \d+$")


@dataclass(frozen=True)
class Cloud:
    """Points that the browser draws over a plot.

    :ivar points: positions of the structures along both axes, 0 to :data:`PLACES`; -1 if not drawn.
    :ivar density: for each kind the indices of the cells (row * :data:`CELLS` + column) and the numbers of points in them.
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
    """Return a figure of a plot and its caption."""
    return Figure(name, caption, plot.svg(), plot.box, cloud)


def _places(scale: Scale, values: np.ndarray) -> list[int]:
    places = np.nan_to_num(scale.place(values) * PLACES, nan=-1.0)
    return [int(place) for place in np.rint(places)]


def energy_parity(structures: Structures, zero: str) -> Figure:
    """Return the parity plot of energies.

    :param zero: what the energies are relative to.
    """
    reference, predicted = structures.energy_reference, structures.energy_predicted
    scale = Scale.over(np.concatenate([reference, predicted]))
    plot = Plot(scale, scale, f"oracle: energy relative to {zero} (eV/atom)", "potential (eV/atom)")
    plot.line([scale.low, scale.high], [scale.low, scale.high], DARK, width=1)
    cloud = Cloud((_places(scale, reference), _places(scale, predicted)))
    return make_figure("energy-parity", "Energies: on the line prediction and reference agree.", plot, cloud)


def force_parity(structures: Structures) -> Figure:
    """Return the parity plot of forces: density of all components, and the worst component of each structure."""
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
        "Forces: shading for all components, a point for the component with the largest error of each structure. "
        "Logarithmic beyond 1 eV/Å."
    )
    return make_figure("force-parity", caption, plot, cloud)


def error_strips(structures: Structures, groups: Sequence[Group], quantity: str) -> Figure:
    """Return a plot of the energy or force errors of all structures, with a row for each group of kinds.

    :param quantity: `energy` or `force`.
    """
    if quantity == "energy":
        errors, least, label = np.abs(structures.energy_error), MIN_ENERGY_ERROR, "error of energy (meV/atom)"
    else:
        errors, least, label = structures.force_rmse, MIN_FORCE_ERROR, "root mean square error of forces (eV/Å)"
    errors = np.maximum(errors, least)
    x = Scale.over(np.append(errors, 10 * least), "log")
    y = Scale(0.0, float(len(groups)))
    height = 80 + _ROW * len(groups)
    plot = Plot(x, y, label, "", height=height, rows=[group.name for group in groups])
    centre = np.zeros(len(structures.kind_names))
    for number, group in enumerate(groups):
        middle = len(groups) - number - 0.5
        centre[list(group.kinds)] = middle
        # Only test structures that equal no training structure: training errors are smaller.
        own = errors[structures.is_unseen & np.isin(structures.kinds, group.kinds)]
        if len(own) < MIN_OF_A_KIND:
            continue
        for quantile, reach in ((0.5, 0.42), (0.95, 0.25)):
            value = float(np.quantile(own, quantile))
            for colour, width in (("white", 5.0), (DARK, 2.2)):
                plot.line([value, value], [middle - reach, middle + reach], colour, width=width)
    # Points of a row are spread vertically to avoid overlap, with a fixed seed.
    spread = 0.6 * (np.random.default_rng(0).random(len(structures)) - 0.5)
    cloud = Cloud((_places(x, errors), _places(y, centre[structures.kinds] + spread)))
    caption = (
        "Long marks: median of the test structures of the kind; short marks: 95 % of them have smaller errors "
        f"(kinds with at least {MIN_OF_A_KIND} test structures). Errors below the range are drawn at its edge."
    )
    return make_figure(f"{quantity}-errors", caption, plot, cloud)


def covered(structures: Structures, cutoff: float, zero: str) -> Figure:
    """Return a plot of energies over the shortest distance in the structure.

    :param zero: what the energies are relative to.
    """
    x, y = Scale.over(np.append(structures.shortest, cutoff)), Scale.over(structures.energy_reference)
    plot = Plot(x, y, "shortest distance in the structure (Å)", f"energy relative to {zero} (eV/atom)")
    _mark_cutoff(plot, cutoff)
    cloud = Cloud((_places(x, structures.shortest), _places(y, structures.energy_reference)))
    return make_figure(
        "coverage",
        "Structures of the dataset, train and test: outside their range the potential extrapolates.",
        plot,
        cloud,
    )


def _mark_cutoff(plot: Plot, cutoff: float) -> None:
    plot.line([cutoff, cutoff], [plot.y.low, plot.y.high], DARK, dashed=True, width=1.2)
    height = plot.y.low + 0.94 * (plot.y.high - plot.y.low)
    plot.text(cutoff - 0.01 * (plot.x.high - plot.x.low), height, "cutoff", anchor="right")


def distance_histogram(coverage: Coverage, pair: str, cutoff: float) -> Figure:
    """Return a plot of the number of neighbours per volume over the distance, for a pair of elements."""
    counts, edges = coverage.counts[pair], coverage.edges
    dense = counts / (4.0 / 3.0 * np.pi * (edges[1:] ** 3 - edges[:-1] ** 3)) / coverage.n_atoms
    x = Scale(0.0, float(edges[-1]))
    y = Scale(0.0, 1.08 * (float(dense.max(initial=0.0)) or 1.0))
    plot = Plot(x, y, f"distance {pair} (Å)", "neighbours of an atom per Å³", height=260)
    for low, high, height, count in zip(edges[:-1], edges[1:], dense, counts, strict=True):
        if count:
            plot.bar((low, high), (0.0, height), BLUE, f"{low:.1f} to {high:.1f} Å: {count}")
    _mark_cutoff(plot, cutoff)
    least = float(coverage.shortest[pair].min(initial=np.inf))
    nearest = f"the shortest is {least:.3f} Å" if np.isfinite(least) else f"none below {edges[-1]:.1f} Å"
    return make_figure(f"distances-{pair}", f"Distances {pair} in the dataset: {nearest}.", plot)


def composition_bars(coverage: Coverage, most: int = 15) -> Figure:
    """Return a bar chart of the most frequent compositions."""
    shown = list(coverage.compositions.items())
    if len(shown) > most:
        shown = [*shown[: most - 1], ("all others", sum(count for _, count in shown[most - 1 :]))]
    return _bars(
        "compositions", "Composition of the dataset.", [(name, float(count)) for name, count in shown], "structures"
    )


def time_bars(stages: Sequence[StageTime]) -> Figure:
    """Return a bar chart of the wall times of the stages."""
    seconds = max((stage.seconds for stage in stages), default=0.0)
    unit, length = ("h", 3600.0) if seconds > 7200 else ("min", 60.0) if seconds > 120 else ("s", 1.0)
    bars = [(stage.name, stage.seconds / length) for stage in stages]
    return _bars(
        "time",
        "Time of each stage from its start to its end, including transfer and waiting for cores and queues.",
        bars,
        f"wall time ({unit})",
    )


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
    """Return plots of the cross-validation errors over the numbers of structures and of functions, and over the time of
    potentials with fewer functions, if the fit computed them.
    """
    curves = metrics.get("learning_curve") or {}
    last_time = {"microseconds_per_atom": metrics.get("microseconds_per_atom")}
    figures = []
    for name, key, what in (
        ("by_structures", "n_structures", "training structures"),
        ("by_functions", "n_functions", "functions"),
        ("by_functions", "microseconds_per_atom", "time of energy and forces (µs per atom)"),
    ):
        points = [*curves.get(name, [])[:-1], *({**last_time, **point} for point in curves.get(name, [])[-1:])]
        if len(points) < 2 or any(point.get(key) is None for point in points):
            continue
        xs = [point[key] for point in points]
        energies, forces = ([point[error] for point in points] for error in ("energy_rms", "force_rms"))
        x, y = (
            Scale.over(np.array(xs), "log"),
            Scale.over(np.array([*energies, *forces, 1.2 * max(energies[0], forces[0])]), "log"),
        )
        plot = Plot(x, y, what, "error in cross-validation", height=260)
        # Errors fall along the curves, so the top right corner is free.
        for line, (values, colour, unit) in enumerate(
            ((energies, ORANGE, "energies (eV/√atom)"), (forces, BLUE, "forces (eV/Å)")), start=1
        ):
            plot.line(xs, values, colour)
            plot.dots(xs, values, colour)
            plot.text(x.high, y.high, f"{unit} ", colour=colour, anchor="right", above=-18 * line)
        if key == "microseconds_per_atom":
            of_points = ", ".join(str(point["n_functions"]) for point in points)
            caption = (
                f"Potentials with {of_points} functions; the last one is this potential. `training.speed` or fewer functions "
                "(`n_functions`) make it faster."
            )
        else:
            caption = (
                f"From {points[-2][key]:.0f} to {points[-1][key]:.0f} {key.removeprefix('n_')} the error "
                f"{last_change(points)}. "
                "Energies: the error of a structure divided by the square root of its number of atoms, as in the fit."
            )
        figures.append(make_figure(f"learning-{key.removeprefix('n_').split('_')[0]}", caption, plot))
    return figures


def validation_curves(validation: Validation) -> list[Figure]:
    """Return plots of the curves of potential and oracle, with all branches of a phonon dispersion in one plot."""
    together: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for curve in validation.curves:
        together[_BRANCH.sub("", str(curve["name"]))].append(curve)
    figures: list[Figure] = []
    for name, curves in together.items():
        potential = [_finite_points(curve["x"], curve["potential"]) for curve in curves]
        oracle = [_finite_points(curve["x"], curve["oracle"]) for curve in curves if curve.get("oracle")]
        points = np.array([point for series in (*potential, *oracle) for point in series])
        if points.size == 0:
            continue
        x_label, y_label = (with_exponents(curves[0][key]) for key in ("x_label", "y_label"))
        plot = Plot(Scale.over(points[:, 0]), Scale.over(points[:, 1]), x_label, y_label, height=280)
        for series in potential:
            plot.line([x for x, _ in series], [y for _, y in series], BLUE)
        for series in oracle:
            plot.dots([x for x, _ in series], [y for _, y in series], ORANGE, hollow=True)
        figures.append(make_figure(f"validation-{len(figures)}", name, plot))
    return figures


def _finite_points(xs: Sequence[float], ys: Sequence[float | None]) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in zip(xs, ys, strict=False) if y is not None]
