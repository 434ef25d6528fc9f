"""Properties of a potential in its report, compared with values of the oracle and of the literature."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config.errors import UserError
from ..config.read import read_yaml
from ..properties.plots import figure
from ..properties.table import number

Literature = Mapping[str, Mapping[str, float]]
"""Values by structure and quantity."""


@dataclass(frozen=True)
class PropertyRow:
    """A quantity by the potential, and the values to compare it with, as text."""

    structure: str
    property: str
    name: str
    potential: str
    oracle: str
    literature: str
    deviation: str
    unit: str


@dataclass(frozen=True)
class Properties:
    """The newest properties of a potential; `plots` are (title, PNG as data URI)."""

    uuid: str
    rows: Sequence[PropertyRow]
    plots: Sequence[tuple[str, str]]
    notes: Sequence[str]


def read_literature(path: Path) -> Literature:
    """Return the values in a YAML file: quantities with their values, below the name of each structure.

    :raises UserError: if the file has another form.
    """
    content = read_yaml(path)
    for structure, values in content.items():
        if not isinstance(values, dict):
            raise UserError(f"{path}: {structure}: must hold quantities and their values")
        for name, value in values.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise UserError(f"{path}: {structure}: {name}: must be a number")
    return content


def properties_section(
    uuid: str, results: Sequence[Mapping[str, Any]], checks: Sequence[Mapping[str, Any]], literature: Literature
) -> Properties:
    """Return the rows and plots of properties.

    :param checks: checks of a validation, which hold values of the oracle.
    """
    by_oracle = {(check["structure"], check["quantity"]): check["oracle"] for check in checks}
    rows = [
        _row(result, value, by_oracle, literature)
        for result in results
        for value in result["values"]
        if not isinstance(value["value"], list)
    ]
    plots = [
        (f"{result['structure']}: {plot['name']}", _image(plot, result["structure"]))
        for result in results
        for plot in result["plots"]
    ]
    notes = [
        f"{result['structure']}, {result['property']}: {note}"
        for result in results
        for note in [*result["notes"], *([f"not computed: {result['reason']}"] if result["reason"] else [])]
    ]
    return Properties(uuid, rows, plots, notes)


def _row(
    result: Mapping[str, Any],
    value: Mapping[str, Any],
    by_oracle: Mapping[tuple[Any, Any], Any],
    literature: Literature,
) -> PropertyRow:
    structure, name = result["structure"], value["name"]
    oracle = by_oracle.get((structure, "B" if name == "bulk modulus" else name))
    known = literature.get(structure, {}).get(name)
    reference = known if known is not None else oracle
    deviation = ""
    if reference and isinstance(value["value"], int | float):
        deviation = f"{100 * (value['value'] / reference - 1):+.1f} %"
    return PropertyRow(
        structure, result["property"], name, number(value), _text(oracle), _text(known), deviation, value["unit"]
    )


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.5g}"


def _image(plot: Mapping[str, Any], title: str) -> str:
    content = io.BytesIO()
    figure(plot, title).savefig(content, format="png", dpi=110)
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"
