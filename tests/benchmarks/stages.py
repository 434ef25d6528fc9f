"""The cost of a finished run, from its provenance and its profile: time of each stage, waiting times, nodes, bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aiida import orm


def stage_rows(run: orm.WorkChainNode) -> list[dict[str, Any]]:
    """Return the calculations of a run in order of time.

    `start_s` counts from the start of the run. `before_s` is the time before it in which no calculation of the run existed:
    steps of WorkChains, and waiting for the daemon or the scheduler.
    """
    leaves = [node for node in run.called_descendants if isinstance(node, orm.CalculationNode)]
    rows, end = [], run.ctime
    for node in sorted(leaves, key=lambda node: node.ctime):
        rows.append(
            {
                "process": str(node.process_label).split("@")[0],
                "start_s": (node.ctime - run.ctime).total_seconds(),
                "seconds": (node.mtime - node.ctime).total_seconds(),
                "before_s": max(0.0, (node.ctime - end).total_seconds()),
            }
        )
        end = max(end, node.mtime)
    return rows


def storage_of(home: str) -> dict[str, int]:
    """Return the number of nodes of the profile, and the bytes of its database and of its other files."""
    sizes = {path: path.stat().st_size for path in Path(home).rglob("*") if path.is_file()}
    database = sum(size for path, size in sizes.items() if path.name.startswith("database.sqlite"))
    files = sum(size for path, size in sizes.items() if "container" in path.parts)
    return {"nodes": orm.QueryBuilder().append(orm.Node).count(), "database_bytes": database, "file_bytes": files}


def table(rows: list[dict[str, Any]], total: float) -> str:
    """Return the stages as a table, each with its share of the run and the time before it in which no calculation existed."""
    lines = [f"{'process':36}{'start (s)':>10}{'time (s)':>10}{'share':>8}{'idle before (s)':>17}"]
    for row in rows:
        share = f"{row['seconds'] / total:.0%}"
        lines.append(
            f"{row['process']:36}{row['start_s']:>10.1f}{row['seconds']:>10.1f}{share:>8}{row['before_s']:>17.1f}"
        )
    waiting = sum(row["before_s"] for row in rows)
    return "\n".join([*lines, f"{'idle, no calculation':36}{'':10}{waiting:>10.1f}{f'{waiting / total:.0%}':>8}"])
