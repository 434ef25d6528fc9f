"""The verdict of a validation as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def verdict_lines(validation: Mapping[str, Any]) -> Iterator[str]:
    """Return the lines of the table: a line a check, with the reason where it did not pass."""
    relative = set(validation["settings"].get("relative", ()))
    yield ""
    yield f"{'':2}{'STRUCTURE':<14} {'QUANTITY':<34} {'potential':>11} {'oracle':>11} {'':<10} {'deviation':>10} {'limit':>8}"
    for check in validation["checks"]:
        mark = "✓" if check["passed"] else "✗"
        shown = f"{check['name'].replace('_', ' ')}: {check['quantity']}"
        as_part = check["name"] in relative
        yield (
            f"{mark} {check['structure'] or '':<14} {_short(check):<34} {_number(check['potential'])} "
            f"{_number(check['oracle'])} {check['unit']:<10} {_deviation(check['deviation'], as_part):>10} "
            f"{_deviation(check['limit'], as_part):>8}"
        )
        if not check["passed"]:
            yield f"    {shown}: {check['reason']}"
    failed = sum(not check["passed"] for check in validation["checks"])
    total = len(validation["checks"])
    yield f"{total - failed} of {total} checks passed." if failed else f"All {total} checks passed."


def _short(check: Mapping[str, Any]) -> str:
    if check["name"] in ("surface_energy", "phonon_frequency", "dimer_energy"):
        return f"{check['name'].split('_')[0]} {check['quantity']}"
    return str(check["quantity"])


def _number(value: float | None) -> str:
    return f"{'-':>11}" if value is None else f"{value:>11.4g}"


def _deviation(value: float | None, relative: bool) -> str:
    if value is None:
        return "-"
    return f"{value:.1%}" if relative else f"{value:.3g}"
