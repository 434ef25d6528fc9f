"""The checks of a validation as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .common import table

_MARKS = {True: "✓", False: "✗", None: "○"}
"""Marks of checks that pass, fail, or are not comparable."""


def verdict_lines(validation: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of the table: one for each check, and one with the reason of each that does not pass."""
    relative = set(validation["settings"].get("relative", ()))
    yield ""
    rows = [
        (
            f"{_MARKS[check['passed']]} {check['structure'] or ''}",
            _short(check),
            _number(check["potential"]),
            _number(check["oracle"]),
            check["unit"],
            _deviation(check["deviation"], check["name"] in relative),
            _deviation(check["limit"], check["name"] in relative),
        )
        for check in validation["checks"]
    ]
    headers = ("STRUCTURE", "QUANTITY", "potential", "oracle", "unit", "deviation", "limit")
    align = ("left", "left", "right", "right", "left", "right", "right")
    header, *lines = table(rows, headers, align).splitlines()
    yield header
    for check, line in zip(validation["checks"], lines, strict=True):
        yield line
        if check["passed"] is not True:
            yield f"    {check['name'].replace('_', ' ')}: {check['quantity']}: {check['reason']}"
    verdicts = [check["passed"] for check in validation["checks"]]
    total = len(verdicts) - verdicts.count(None)
    passed = verdicts.count(True)
    others = verdicts.count(None)
    rest = f" {others} {'is' if others == 1 else 'are'} not comparable." if others else ""
    every = f"All {total} checks passed." if total != 1 else "The only check passed."
    yield (every if passed == total else f"{passed} of {total} checks passed.") + rest


def _short(check: Mapping[str, Any]) -> str:
    if check["name"] in ("surface_energy", "phonon_frequency", "dimer_energy"):
        return f"{check['name'].split('_')[0]} {check['quantity']}"
    return str(check["quantity"])


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _deviation(value: float | None, relative: bool) -> str:
    if value is None:
        return "-"
    return f"{100 * value:.1f} %" if relative else f"{value:.3g}"
