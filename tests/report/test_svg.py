"""Scales and ticks of plots."""

from __future__ import annotations

import numpy as np
import pytest

from aiida_mlip_autopipec.report.svg import Kind, Plot, Scale


@pytest.mark.parametrize("kind", ["linear", "log", "asinh"])
@pytest.mark.parametrize(
    "values", [[1.0, 2.0], [0.001, 500.0], [3.0], [0.0, 0.0], [-4.0, 8.0], [np.nan, 1.0], [], [1e-15, 1e-14]]
)
def test_what_is_finite_lies_inside(kind: Kind, values: list[float]) -> None:
    scale = Scale.over(np.array(values), kind)
    places = scale.place(np.array(values, dtype=float))
    known = np.isfinite(np.array(values, dtype=float))
    assert ((places[known] >= 0) & (places[known] <= 1)).all()
    assert np.isnan(places[~known]).all()
    for place, label in scale.ticks():
        assert 0 <= place <= 1 and label


def test_ticks_are_round_and_several() -> None:
    assert [label for _, label in Scale(-3.7, 1.8).ticks()] == ["−2", "0"] or len(Scale(-3.7, 1.8).ticks()) >= 3
    assert [label for _, label in Scale(0.009, 11.0, "log").ticks()] == ["0.01", "0.1", "1", "10"]
    assert len(Scale(0.04, 0.12, "log").ticks()) >= 3


def test_texts_are_escaped() -> None:
    plot = Plot(Scale(0, 1), Scale(0, 1), "<x>", "y & z")
    plot.bar((0.1, 0.2), (0.0, 1.0), "#000000", "<title>")
    plot.text(0.5, 0.5, "<b>")
    assert "<x>" not in plot.svg() and "<b>" not in plot.svg() and "y &amp; z" in plot.svg()
