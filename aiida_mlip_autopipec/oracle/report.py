"""The report of an oracle: what was asked, what was labelled, what failed and why."""

from __future__ import annotations

from typing import Any

from aiida.engine import calcfunction
from aiida.orm import Dict


@calcfunction
def merge_reports(given_up: Dict, **reports: Dict) -> Dict:
    """Merge the reports of the jobs of an oracle into one.

    :param given_up: `failed`: structures that no job finished, with the reason.
    :param reports: the reports of the jobs, in the order of their names.
    :returns: `asked`, `labelled`, `failed` (a list with label, step, family, kind, reason, calculation), `jobs`,
        `job_time_s` and the `versions` the jobs ran with.
    """
    parts = [reports[name].get_dict() for name in sorted(reports)]
    failed: list[dict[str, Any]] = [failure for part in parts for failure in part["failed"]]
    failed += given_up.get_dict()["failed"]
    labelled = sum(part["labelled"] for part in parts)
    return Dict(
        {
            "asked": labelled + len(failed),
            "labelled": labelled,
            "failed": failed,
            "jobs": len(parts),
            "job_time_s": sum(part["wall_time_s"] or 0.0 for part in parts),
            "versions": parts[-1]["versions"] if parts else {},
        }
    )
