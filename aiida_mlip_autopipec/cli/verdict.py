"""The checks of a validation as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def verdict_lines(validation: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of the table: one for each check, and one with the reason of each failure."""
    relative = set(validation["settings"].get("relative", ()))
    yield ""
    yield f"{'':2}{'STRUCTURE':<14} {'QUANTITY':<34} {'potential':>11} {'oracle':>11} {'':<10} {'deviation':>10} {'limit':>8}"
    for check in validation["checks"]:
        mark = "✓" if check["passed"] else "✗"
        name = f"{check['name'].replace('_', ' ')}: {check['quantity']}"
        is_relative = check["name"] in relative
        yield (
            f"{mark} {check['structure'] or '':<14} {_short(check):<34} {_number(check['potential'])} "
            f"{_number(check['oracle'])} {check['unit']:<10} {_deviation(check['deviation'], is_relative):>10} "
            f"{_deviation(check['limit'], is_relative):>8}"
        )
        if not check["passed"]:
            yield f"    {name}: {check['reason']}"
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
