"""Plots as SVG: scales, axes and marks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from markupsafe import Markup, escape

WIDTH, HEIGHT = 440, 330
"""Size of a plot in its own units; its text is read on a phone at nearly this size."""

_RIGHT, _TOP, _BOTTOM = 14, 12, 48


Kind = Literal["linear", "log", "asinh"]
"""How values are spread along an axis; `asinh` is linear up to about 1 and logarithmic beyond, on both sides of zero."""


@dataclass(frozen=True)
class Scale:
    """From values to places between 0 and 1."""

    low: float
    high: float
    kind: Kind = "linear"

    @classmethod
    def over(cls, values: np.ndarray, kind: Kind = "linear") -> Scale:
        """Return a scale a little wider than the finite values; a logarithmic one ignores what is not positive."""
        finite = values[np.isfinite(values) & ((values > 0) | (kind != "log"))]
        if finite.size == 0:
            return cls(0.1 if kind == "log" else 0.0, 1.0, kind)
        ends = np.array([finite.min(), finite.max()], dtype=float)
        low, high = _warp(ends, kind)
        margin = 0.04 * (high - low) or 0.5
        wider = _unwarp(np.array([low - margin, high + margin]), kind)
        return cls(float(wider[0]), float(wider[1]), kind)

    def place(self, values: np.ndarray | float) -> np.ndarray:
        """Return the places of values; those outside are moved to the edge, what is no number stays none."""
        low, high = _warp(np.array([self.low, self.high]), self.kind)
        floor = self.low if self.kind == "log" else -np.inf
        warped = _warp(np.maximum(np.asarray(values, dtype=float), floor), self.kind)
        return np.asarray(np.clip((warped - low) / (high - low), 0.0, 1.0))

    def ticks(self) -> list[tuple[float, str]]:
        """Return the places and labels of some round values."""
        values = self._round_values()
        places = self.place(np.array(values))
        inside = [(place, value) for place, value in zip(places.tolist(), values, strict=True) if self._holds(value)]
        return [(place, f"{value:.10g}".replace("-", "−")) for place, value in inside]

    def _holds(self, value: float) -> bool:
        slack = 1e-9 * abs(self.high - self.low)
        return self.low - slack <= value <= self.high + slack

    def _round_values(self) -> list[float]:
        if self.kind == "linear":
            return _linear_ticks(self.low, self.high)
        if self.kind == "asinh":
            positive = [10.0**exponent for exponent in range(6)]
            return [*(-value for value in reversed(positive)), 0.0, *positive]
        exponents = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        decades = math.log10(self.high / self.low)
        steps = (1, 1.5, 2, 3, 4, 5, 7) if decades < 0.9 else (1, 2, 5) if decades < 1.8 else (1,)
        return [step * 10.0**exponent for exponent in exponents for step in steps]


def _warp(values: np.ndarray, kind: Kind) -> np.ndarray:
    if kind == "linear":
        return values
    return np.asarray(np.log10(values) if kind == "log" else np.arcsinh(values))


def _unwarp(values: np.ndarray, kind: Kind) -> np.ndarray:
    if kind == "linear":
        return values
    return np.asarray(10.0**values if kind == "log" else np.sinh(values))


def _linear_ticks(low: float, high: float) -> list[float]:
    raw = (high - low) / 6
    base = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * base for factor in (1, 2, 5, 10) if factor * base >= raw)
    first = math.ceil(low / step - 1e-9)
    return [round(number * step, 12) for number in range(first, math.floor(high / step + 1e-9) + 1)]


class Plot:
    """A plot that marks are added to, in the order they lie above each other."""

    def __init__(
        self, x: Scale, y: Scale, x_label: str, y_label: str, *, height: int = HEIGHT, rows: Sequence[str] = ()
    ) -> None:
        """Begin a plot.

        :param rows: names of rows, from top to bottom, in place of a vertical axis; their centres are at 0.5, 1.5...
        """
        self.x, self.y = x, y
        self._x_label, self._y_label, self._rows = x_label, y_label, rows
        self.height = height
        self._left = 112 if rows else 64
        self._marks: list[str] = []

    @property
    def box(self) -> dict[str, float]:
        """The area inside the axes, in percent of the whole: left, top, width, height."""
        return {
            "left": 100 * self._left / WIDTH,
            "top": 100 * _TOP / self.height,
            "width": 100 * (WIDTH - self._left - _RIGHT) / WIDTH,
            "height": 100 * (self.height - _TOP - _BOTTOM) / self.height,
        }

    def _px(self, place: float) -> float:
        return round(self._left + place * (WIDTH - self._left - _RIGHT), 1)

    def _py(self, place: float) -> float:
        return round(self.height - _BOTTOM - place * (self.height - _TOP - _BOTTOM), 1)

    def _points(self, xs: Iterable[float], ys: Iterable[float]) -> list[tuple[float, float]]:
        places = zip(self.x.place(np.array(list(xs))).tolist(), self.y.place(np.array(list(ys))).tolist(), strict=True)
        return [(self._px(x), self._py(y)) for x, y in places if math.isfinite(x) and math.isfinite(y)]

    def line(self, xs: Iterable[float], ys: Iterable[float], colour: str, *, dash: str = "", width: float = 2) -> None:
        """Add a line through points."""
        path = " ".join(f"{x},{y}" for x, y in self._points(xs, ys))
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        self._marks.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"{dashes}></polyline>'
        )

    def dots(self, xs: Sequence[float], ys: Sequence[float], colour: str, *, hollow: bool = False) -> None:
        """Add points that say their values when pointed at."""
        fill = "white" if hollow else colour
        for (x, y), named in zip(self._points(xs, ys), zip(xs, ys, strict=True), strict=False):
            self._marks.append(
                f'<circle cx="{x}" cy="{y}" r="4" fill="{fill}" stroke="{colour}" stroke-width="1.5">'
                f"<title>{named[0]:.6g}, {named[1]:.6g}</title></circle>"
            )

    def bar(self, x: tuple[float, float], y: tuple[float, float], colour: str, title: str) -> None:
        """Add a rectangle between two values of each axis."""
        (left, bottom), (right, top) = self._points(x, y)
        self._marks.append(
            f'<rect x="{left}" y="{top}" width="{max(0.5, right - left):.1f}" height="{max(0.0, bottom - top):.1f}" '
            f'fill="{colour}"><title>{escape(title)}</title></rect>'
        )

    def text(
        self, x: float, y: float, text: str, *, colour: str = "#222", anchor: str = "start", above: float = 0
    ) -> None:
        """Add a text at a value of each axis, or so much above it."""
        ((px, py),) = self._points([x], [y])
        self._marks.append(
            f'<text x="{px}" y="{py - above}" style="fill:{colour}" text-anchor="{anchor}">{escape(text)}</text>'
        )

    def svg(self) -> Markup:
        """Return the plot."""
        left, right = self._px(0), self._px(1)
        top, bottom = self._py(1), self._py(0)
        parts = []
        for place, label in self.x.ticks():
            x = self._px(place)
            parts.append(f'<line x1="{x}" x2="{x}" y1="{top}" y2="{bottom}" class="grid"></line>')
            parts.append(f'<text x="{x}" y="{bottom + 17}" text-anchor="middle">{label}</text>')
        if self._rows:
            for number, name in enumerate(self._rows):
                y = self._py(float(self.y.place(len(self._rows) - number - 0.5)))
                parts.append(f'<text x="{left - 8}" y="{y + 4}" text-anchor="end">{escape(name)}</text>')
        else:
            for place, label in self.y.ticks():
                y = self._py(place)
                parts.append(f'<line x1="{left}" x2="{right}" y1="{y}" y2="{y}" class="grid"></line>')
                parts.append(f'<text x="{left - 6}" y="{y + 4}" text-anchor="end">{label}</text>')
        middle = (top + bottom) / 2
        labels = [
            f'<text x="{(left + right) / 2}" y="{self.height - 8}" text-anchor="middle">{escape(self._x_label)}</text>',
            f'<text transform="translate(14 {middle}) rotate(-90)" text-anchor="middle">{escape(self._y_label)}</text>',
        ]
        frame = (
            f'<rect x="{left}" y="{top}" width="{right - left:.1f}" height="{bottom - top:.1f}" class="frame"></rect>'
        )
        described = f"{self._y_label} against {self._x_label}" if self._y_label else self._x_label
        content = "".join([*parts, *self._marks, frame, *labels])
        return Markup(
            f'<svg viewBox="0 0 {WIDTH} {self.height}" role="img" aria-label="{escape(described)}">{content}</svg>'
        )
