"""Plots as SVG, and their scales."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from aiida_mlip_autopipec.report.plot import Kind, Plot, Scale


def texts(plot: Plot, name: str = "text") -> list[str]:
    """Return all texts (or titles) of a plot, as a reader of its SVG sees them."""
    return [str(element.text) for element in ElementTree.fromstring(plot.svg()).iter(name)]


@pytest.mark.parametrize("kind", ["linear", "log", "asinh"])
@pytest.mark.parametrize(
    "values", [[1.0, 2.0], [0.001, 500.0], [3.0], [0.0, 0.0], [-4.0, 8.0], [np.nan, 1.0], [], [1e-15, 1e-14]]
)
def test_finite_values_are_inside_the_axes(kind: Kind, values: list[float]) -> None:
    scale = Scale.over(np.array(values), kind)
    places = scale.place(np.array(values, dtype=float))
    known = np.isfinite(np.array(values, dtype=float))
    assert ((places[known] >= 0) & (places[known] <= 1)).all()
    assert np.isnan(places[~known]).all()
    assert "other axis" in texts(Plot(scale, scale, "one axis", "other axis"))


@pytest.mark.parametrize(
    ("scale", "ticks"),
    [
        (Scale(-3.7, 1.8), ["−3", "−2", "−1", "0", "1"]),
        (Scale(0.009, 11.0, "log"), ["0.01", "0.1", "1", "10"]),
        (Scale(0.04, 0.12, "log"), ["0.04", "0.05", "0.07", "0.1"]),
        (Scale(-30.0, 40.0, "asinh"), ["−10", "−1", "0", "1", "10"]),
    ],
)
def test_ticks_are_at_round_values(scale: Scale, ticks: list[str]) -> None:
    assert texts(Plot(scale, Scale(0, 1), "", ""))[: len(ticks)] == ticks


def test_texts_are_shown_without_interpretation_of_markup() -> None:
    plot = Plot(Scale(0, 1), Scale(0, 1), "<x>", "y & z")
    plot.bar((0.1, 0.2), (0.0, 1.0), "#000000", "<title>")
    plot.text(0.5, 0.5, "<b> $x_1$")
    assert {"<x>", "y & z", "<b> $x_1$"} <= set(texts(plot))
    assert texts(plot, "title") == ["<title>"]


def test_points_have_their_values_as_tooltips() -> None:
    plot = Plot(Scale(0, 1), Scale(0, 1), "x", "y")
    plot.dots([0.25, np.nan, 0.5], [0.5, 0.5, 1.0], "#000000")
    plot.dots([], [], "#000000")
    plot.dots([np.nan], [0.5], "#000000")
    assert texts(plot, "title") == ["0.25, 0.5", "0.5, 1"]


def test_rows_are_named_from_the_top() -> None:
    plot = Plot(Scale(0, 1), Scale(0, 2), "x", "", rows=["first", "second"])
    elements = {e.text: e for e in ElementTree.fromstring(plot.svg()).iter("text")}
    assert float(elements["first"].attrib["y"]) < float(elements["second"].attrib["y"])
