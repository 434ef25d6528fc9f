"""What every oracle is: a WorkChain from structures to labels and a report.

Any WorkChain with these inputs and outputs, registered as a workflow entry point `mlip_autopipec.oracle.<type>`, can serve.
"""

from __future__ import annotations

from typing import Any

from aiida.engine import ExitCode, ProcessSpec, WorkChain, calcfunction
from aiida.orm import Dict, TrajectoryData
from pydantic import BaseModel

from ..jobs import validate_resources, validates


def declare_oracle(spec: ProcessSpec, model: type[BaseModel], settings: str) -> None:
    """Declare what all oracles have in common.

    :param model: the model of the settings.
    :param settings: what they are, for the help.
    """
    spec.input_namespace("structures", valid_type=TrajectoryData, dynamic=True, help="Structures, by label.")
    spec.input("settings", valid_type=Dict, validator=validates(model), help=settings)
    spec.input("method", valid_type=Dict, help="The identity of the labels: what changes an energy, and nothing else.")
    spec.input("resources", valid_type=Dict, validator=validate_resources, help="A `ResourcesConfig`.")
    spec.output_namespace("labelled", valid_type=TrajectoryData, dynamic=True, help="Labels, by label and job.")
    spec.output("report", valid_type=Dict, help="Asked, labelled, failed with reasons.")
    spec.exit_code(
        400,
        "ERROR_TOO_MANY_FAILURES",
        message="{failed} of {asked} structures could not be labelled, more than the {allowed:.0%} allowed by "
        "`max_failed_fraction`. Most frequent reason: {reason}",
    )


def too_many_failures(workchain: WorkChain, report: dict[str, Any], allowed: float) -> ExitCode | None:
    """Return the exit code of an oracle if more structures failed than the user allows."""
    failed = report["failed"]
    if report["labelled"] and len(failed) <= allowed * report["asked"]:
        return None
    reasons = [f"{failure['kind']}: {failure['reason']}" for failure in failed]
    return workchain.exit_codes.ERROR_TOO_MANY_FAILURES.format(
        failed=len(failed),
        asked=report["asked"],
        allowed=allowed,
        reason=max(reasons, key=reasons.count) if reasons else "none",
    )


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
