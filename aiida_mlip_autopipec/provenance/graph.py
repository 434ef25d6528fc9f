"""Drawing of the provenance of a potential, with one box for each stage."""

from __future__ import annotations

from pathlib import Path

from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from .queries import ProcessSummary, Provenance

_WIDTH, _HEIGHT, _GAP = 5.2, 0.62, 0.34
"""Width and height of a box, and gap between boxes, in inches."""


def draw(origin: Provenance, path: Path) -> None:
    """Write an SVG file with the processes behind a potential in order of time, with their numbers and computers."""
    boxes = [*(_title(process) for process in origin.processes), f"potential {origin.potential[:8]}"]
    figure = Figure(figsize=(_WIDTH + 0.6, len(boxes) * (_HEIGHT + _GAP) + 0.2))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_xlim(0, _WIDTH + 0.6)
    axes.set_ylim(0, len(boxes) * (_HEIGHT + _GAP) + 0.2)
    axes.axis("off")
    for number, text in enumerate(boxes):
        last = number == len(boxes) - 1
        y = (len(boxes) - number - 0.5) * (_HEIGHT + _GAP) + 0.1
        style = {"boxstyle": "round,pad=0.5", "facecolor": "#d9ead3" if last else "#eef3fb", "edgecolor": "#4a6785"}
        axes.text((_WIDTH + 0.6) / 2, y, text, ha="center", va="center", fontsize=9, bbox=style)
        if not last:
            below = y - _HEIGHT - _GAP
            axes.annotate(
                "",
                xy=((_WIDTH + 0.6) / 2, below + _HEIGHT / 2 + 0.02),
                xytext=((_WIDTH + 0.6) / 2, y - _HEIGHT / 2 - 0.02),
                arrowprops={"arrowstyle": "->", "color": "#4a6785"},
            )
    FigureCanvasSVG(figure)
    figure.savefig(path, format="svg")


def _title(process: ProcessSummary) -> str:
    """Return the text in the box of some processes: their number and name, and below it codes and computers."""
    name = process.label.split("<")[0] if process.label.startswith("ShellJob") else process.label
    inside = process.label.partition("<")[2].partition("@")[0].rstrip(">")
    where = f" on {', '.join(process.computers)}" if process.computers else ""
    code = f"\n{', '.join(code.split(' ')[0] for code in process.codes)}{where}" if process.codes else ""
    return f"{process.count} × {name}{f' {inside}' if inside else ''}{code}"
