"""Results as a table of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def table(results: Sequence[Mapping[str, Any]]) -> str:
    """Return the scalar quantities of results, with units and errors, as lines of text."""
    lines = []
    for result in results:
        lines.append(f"{result['structure']}: {result['property']}")
        if result["reason"]:
            lines.append(f"  not computed: {result['reason']}")
        rows = [value for value in result["values"] if not isinstance(value["value"], list)]
        width = max((len(value["name"]) for value in rows), default=0)
        lines += [f"  {value['name']:<{width}}  {number(value)}{_unit(value['unit'])}" for value in rows]
        lines += [f"  note: {note}" for note in result["notes"]]
    return "\n".join(lines)


def _unit(unit: str) -> str:
    return unit if unit in ("", "°") else f" {unit}"


def number(value: Mapping[str, Any]) -> str:
    """Return the number of a quantity with its error."""
    content = value["value"]
    if content is None:
        return "-"
    if isinstance(content, str):
        return content
    error = "" if value["error"] is None else f" ± {value['error']:.2g}"
    return f"{content:.5g}{error}"
