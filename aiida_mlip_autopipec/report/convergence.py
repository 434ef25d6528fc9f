"""The plot of a convergence study."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

from matplotlib import rc_context
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

Points = Sequence[tuple[str, float, float]]
"""Points of a line: text next to the point, cost (s per structure), error."""


def convergence_plot(lines: Mapping[str, Mapping[str, Points]], targets: Mapping[str, float | None]) -> bytes:
    """Return an SVG with one panel for each quantity: its error against the cost of a label, on logarithmic axes.

    :param lines: points by quantity with its unit, and by name of the line.
    :param targets: target by quantity, drawn as a line if it is not None.
    """
    with rc_context({"svg.fonttype": "none", "font.family": "sans-serif", "font.size": 11, "text.parse_math": False}):
        figure = Figure(figsize=(4.2 * len(lines), 3.6), layout="constrained")
        FigureCanvasSVG(figure)
        for number, (quantity, by_name) in enumerate(lines.items()):
            panel = figure.add_subplot(1, len(lines), number + 1)
            for name, points in by_name.items():
                positive = [point for point in points if point[2] > 0]
                panel.plot([point[1] for point in positive], [point[2] for point in positive], "o-", label=name)
                for text, cost, error in positive:
                    panel.annotate(text, (cost, error), textcoords="offset points", xytext=(4, 4), fontsize=8)
            target = targets.get(quantity)
            if target is not None:
                panel.axhline(target, color="#888888", linestyle="--", label="target")
            panel.set_xscale("log")
            panel.set_yscale("log")
            for axis in (panel.xaxis, panel.yaxis):
                axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
                axis.set_minor_formatter(NullFormatter())
            panel.set_xlabel("cost of a label (s)")
            panel.set_ylabel(f"error of the {quantity}")
            panel.legend(fontsize=8)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
        return buffer.getvalue()
