"""Plots as SVG, drawn by matplotlib."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from xml.etree import ElementTree

import numpy as np
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.axis import Axis
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, LogLocator, MaxNLocator, NullLocator

WIDTH, HEIGHT = 440, 330
"""Size of a plot in SVG units, nearly the width of a phone, so that the text stays readable there."""

DARK = "#222222"

_RIGHT, _TOP, _BOTTOM = 14, 12, 48
"""Margins of the axes in SVG units."""

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 13,
    "text.color": DARK,
    "text.parse_math": False,
}

Kind = Literal["linear", "log", "asinh"]
"""Kind of an axis; `asinh` is linear between about -1 and 1 and logarithmic beyond."""


@dataclass(frozen=True)
class Scale:
    """Maps values to positions between 0 and 1 along an axis."""

    low: float
    high: float
    kind: Kind = "linear"

    @classmethod
    def over(cls, values: np.ndarray, kind: Kind = "linear") -> Scale:
        """Return a scale slightly wider than the finite values; a logarithmic scale ignores values that are not positive."""
        finite = values[np.isfinite(values) & ((values > 0) | (kind != "log"))]
        if finite.size == 0:
            return cls(0.1 if kind == "log" else 0.0, 1.0, kind)
        low, high = _warp(np.array([finite.min(), finite.max()], dtype=float), kind)
        margin = 0.04 * (high - low) or 0.5
        wider = _unwarp(np.array([low - margin, high + margin]), kind)
        return cls(float(wider[0]), float(wider[1]), kind)

    def place(self, values: np.ndarray | float) -> np.ndarray:
        """Return the positions of values, clipped to 0 and 1; NaN stays NaN."""
        low, high = _warp(np.array([self.low, self.high]), self.kind)
        floor = self.low if self.kind == "log" else -np.inf
        warped = _warp(np.maximum(np.asarray(values, dtype=float), floor), self.kind)
        return np.asarray(np.clip((warped - low) / (high - low), 0.0, 1.0))

    def set_ticks(self, axis: Axis) -> None:
        """Give an axis of matplotlib ticks at round values."""
        axis.set_major_locator(self._locator())
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(lambda value, _: f"{value:.10g}".replace("-", "−"))

    def _locator(self) -> MaxNLocator | LogLocator | FixedLocator:
        if self.kind == "linear":
            return MaxNLocator(6, steps=[1, 2, 5, 10])
        if self.kind == "asinh":
            positive = [10.0**exponent for exponent in range(6)]
            return FixedLocator([*(-value for value in reversed(positive)), 0.0, *positive])
        decades = math.log10(self.high / self.low)
        steps = (1, 1.5, 2, 3, 4, 5, 7) if decades < 0.9 else (1, 2, 5) if decades < 1.8 else (1,)
        return LogLocator(subs=steps, numticks=100)


def _four_digits(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _warp(values: np.ndarray, kind: Kind) -> np.ndarray:
    if kind == "linear":
        return values
    return np.asarray(np.log10(values) if kind == "log" else np.arcsinh(values))


def _unwarp(values: np.ndarray, kind: Kind) -> np.ndarray:
    if kind == "linear":
        return values
    return np.asarray(10.0**values if kind == "log" else np.sinh(values))


class Plot:
    """A plot; later marks are drawn above earlier ones."""

    def __init__(
        self, x: Scale, y: Scale, x_label: str, y_label: str, *, height: int = HEIGHT, rows: Sequence[str] = ()
    ) -> None:
        """Create an empty plot.

        :param rows: names of rows, from top to bottom, in place of the ticks of the y axis; the centres are at 0.5, 1.5, ...
        """
        self.x, self.y, self.height = x, y, height
        self._title = f"{y_label} against {x_label}" if y_label else x_label
        self._left = 112 if rows else 64
        self._tooltips: list[list[str]] = []
        with rc_context(_STYLE):
            self._figure = Figure(figsize=(WIDTH / 72, height / 72), dpi=72)
            self._axes = self._figure.add_axes(self._rectangle())
            self._axes.set(xscale=x.kind, xlim=(x.low, x.high), xlabel=x_label)
            self._axes.set(yscale=y.kind, ylim=(y.low, y.high), ylabel=y_label)
            x.set_ticks(self._axes.xaxis)
            y.set_ticks(self._axes.yaxis)
            if rows:
                self._axes.set_yticks(np.arange(len(rows))[::-1] + 0.5, rows)
        self._draw_frame(grid="x" if rows else "both")

    def _rectangle(self) -> tuple[float, float, float, float]:
        """Return left, bottom, width and height of the area inside the axes, relative to the plot."""
        width, height = WIDTH - self._left - _RIGHT, self.height - _TOP - _BOTTOM
        return self._left / WIDTH, _BOTTOM / self.height, width / WIDTH, height / self.height

    def _draw_frame(self, grid: Literal["x", "both"]) -> None:
        # The points that the browser draws lie below.
        self._figure.patch.set_visible(False)
        self._axes.patch.set_visible(False)
        self._axes.set_axisbelow(True)
        self._axes.grid(axis=grid, color="black", alpha=0.1, linewidth=1)
        self._axes.tick_params(length=0, pad=6)
        self._axes.spines[:].set_color("#888888")

    @property
    def box(self) -> dict[str, float]:
        """The area inside the axes in percent of the plot: left, top, width, height."""
        left, _, width, height = self._rectangle()
        return {"left": 100 * left, "top": 100 * _TOP / self.height, "width": 100 * width, "height": 100 * height}

    def line(
        self, xs: Sequence[float], ys: Sequence[float], colour: str, *, dashed: bool = False, width: float = 2
    ) -> None:
        """Add a line through points."""
        self._axes.plot(
            xs,
            ys,
            color=colour,
            linewidth=width,
            dashes=(5 / width, 4 / width) if dashed else (None, None),
            zorder=self._next(),
        )

    def dots(self, xs: Sequence[float], ys: Sequence[float], colour: str, *, hollow: bool = False) -> None:
        """Add points with their values as tooltips."""
        inside = [(x, y) for x, y in zip(xs, ys, strict=True) if math.isfinite(x) and math.isfinite(y)]
        if not inside:
            return
        self._axes.plot(
            *np.array(inside).reshape(-1, 2).T,
            "o",
            markersize=8,
            markerfacecolor="white" if hollow else colour,
            markeredgecolor=colour,
            markeredgewidth=1.5,
            zorder=self._next(),
            gid=self._tooltip([f"{_four_digits(x)}, {_four_digits(y)}" for x, y in inside]),
            clip_on=False,
        )

    def bar(self, x: tuple[float, float], y: tuple[float, float], colour: str, title: str) -> None:
        """Add a rectangle from (x[0], y[0]) to (x[1], y[1])."""
        patch = Rectangle((x[0], y[0]), x[1] - x[0], y[1] - y[0], facecolor=colour, zorder=self._next())
        patch.set_gid(self._tooltip([title]))
        self._axes.add_patch(patch)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        colour: str = DARK,
        anchor: Literal["left", "right"] = "left",
        above: float = 0,
    ) -> None:
        """Add a text that begins (or ends, by `anchor`) at (x, y), shifted upwards by `above` SVG units."""
        with rc_context(_STYLE):
            self._axes.annotate(
                text,
                (x, y),
                (0, above),
                textcoords="offset points",
                ha=anchor,
                color=colour,
                zorder=self._next(),
            )

    def legend(self, colours: Mapping[str, str]) -> None:
        """Add a legend of coloured texts where it covers the fewest marks."""
        with rc_context(_STYLE):
            lines = [Line2D([], [], color=colour, linewidth=2) for colour in colours.values()]
            self._axes.legend(
                lines,
                colours,
                labelcolor=list(colours.values()),
                loc="best",
                edgecolor="none",
                handlelength=1.2,
            )

    def _next(self) -> float:
        """Return the place of the next mark in the order of drawing."""
        return 3 + 0.001 * len(self._axes.get_children())

    def _tooltip(self, texts: list[str]) -> str:
        """Return a name for a mark, by which its points get tooltips."""
        self._tooltips.append(texts)
        return f"tooltip{len(self._tooltips) - 1}"

    def svg(self) -> Markup:
        """Return the plot as SVG."""
        file = io.BytesIO()
        # The salt names the parts that plots on one page would confuse.
        with rc_context({**_STYLE, "svg.hashsalt": f"{self._title}{len(self._axes.get_children())}"}):
            FigureCanvasSVG(self._figure).print_svg(file, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
        root = ElementTree.fromstring(file.getvalue())
        _remove_namespaces(root)
        for name in ("width", "height"):
            del root.attrib[name]
        root.attrib.update({"role": "img", "aria-label": self._title})
        for group in root.iter("g"):
            self._add_tooltips(group, group.attrib.pop("id", ""))
        return Markup(ElementTree.tostring(root, encoding="unicode"))

    def _add_tooltips(self, group: Any, name: str) -> None:
        if not name.startswith("tooltip"):
            return
        texts = self._tooltips[int(name.removeprefix("tooltip"))]
        marks = [*group.iter("use")] or [group]
        for mark, text in zip(marks, texts, strict=True):
            ElementTree.SubElement(mark, "title").text = text


def _remove_namespaces(root: ElementTree.Element) -> None:
    """Remove the namespaces of XML, which SVG inside HTML does not need."""
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.attrib = {name.rpartition("}")[2]: value for name, value in element.attrib.items()}
