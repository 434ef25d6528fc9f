"""Figures of active learning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .figures import BLUE, DARK, ORANGE, Figure, make_figure
from .plot import Plot, Scale


def rounds_figures(learned: Mapping[str, Any]) -> list[Figure]:
    """Return plots of force errors over the number of labels and over the extrapolation grade; none without a round.

    :param learned: history of active learning, see :mod:`~..learning.history`.
    """
    rounds = [row for row in learned.get("rounds", []) if "train_force_rmse_eV_per_A" in row]
    return [*_errors(rounds), *_grades(rounds, learned.get("points", []))]


def _errors(rounds: Sequence[Mapping[str, Any]]) -> list[Figure]:
    fresh = [
        (float(row["total"]), float(row["fresh_force_rmse_eV_per_A"]))
        for row in rounds
        if row.get("fresh_force_rmse_eV_per_A") is not None
    ]
    test = [
        (float(row["total"]), float(row["test_force_rmse_eV_per_A"]))
        for row in rounds
        if row["test_force_rmse_eV_per_A"] is not None
    ]
    if not fresh or len(rounds) < 2:
        return []
    xs, ys = np.array([*fresh, *test]).T
    plot = Plot(Scale.over(xs), Scale.over(ys, "log"), "number of labels", "force RMSE (eV/Å)", height=280)
    series = ((fresh, ORANGE, "new labels, before they were fitted"), (test, BLUE, "test structures"))
    shown = [(points, colour, label) for points, colour, label in series if points]
    for points, colour, _ in shown:
        plot.line([x for x, _ in points], [y for _, y in points], colour)
        plot.dots([x for x, _ in points], [y for _, y in points], colour)
    plot.legend({label: colour for _, colour, label in shown})
    caption = "New labels are of structures with large extrapolation grades; errors on ordinary structures are smaller."
    return [make_figure("rounds-errors", caption, plot)]


def _grades(rounds: Sequence[Mapping[str, Any]], points: Sequence[Mapping[str, Any]]) -> list[Figure]:
    usable = [point for point in points if point["grade"] > 0 and point["force_rmse_eV_per_A"] > 0]
    if len(usable) < 2:
        return []
    grades, errors = (np.array([point[key] for point in usable]) for key in ("grade", "force_rmse_eV_per_A"))
    last = rounds[-1]
    x = Scale.over(np.append(grades, last["select_grade"]), "log")
    y = Scale.over(np.append(errors, last["tolerated_force_error_eV_per_A"]), "log")
    plot = Plot(x, y, "extrapolation grade", "error of forces (eV/Å)", height=280)
    newest = np.array([point["round"] == last["round"] for point in usable])
    plot.dots(grades[~newest].tolist(), errors[~newest].tolist(), BLUE, hollow=True)
    plot.dots(grades[newest].tolist(), errors[newest].tolist(), BLUE)
    law = last["error_at_grade"]
    if law["factor"] is not None:
        ends = np.array([grades.min(), grades.max()])
        plot.line(ends.tolist(), (law["factor"] * ends ** law["exponent"]).tolist(), ORANGE)
    tolerated, limit = last["tolerated_force_error_eV_per_A"], last["select_grade"]
    plot.line([x.low, x.high], [tolerated, tolerated], DARK, dashed=True, width=1.2)
    plot.line([limit, limit], [y.low, y.high], DARK, dashed=True, width=1.2)
    caption = (
        "Force error against extrapolation grade: a circle for each new label, filled for the last round. The next limit is "
        "the grade where the fitted line reaches the tolerated force error (dashed; "
        "`learning.target_force_rmse` or, without it, a tenth of the root mean square force), but it changes by at most a "
        "factor of 2 and stays between 0.5 and 5. The vertical line is the last limit."
    )
    return [make_figure("rounds-grades", caption, plot)]
