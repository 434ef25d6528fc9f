"""The interface of an oracle: a WorkChain from structures to labels and a report.

Any WorkChain with these inputs and outputs is an oracle if an :class:`~..config.oracles.Oracle` names it;
:class:`OracleWorkChain` declares them. Its jobs store labels as soon as they finish (`to_trajectories(..., reusable=True)`). An
oracle whose jobs come from other packages and store their results in another form has a static method `store_finished(keys,
method) -> bool`: it stores the labels of structures with these keys that finished jobs of earlier runs computed, and returns
whether there were any.
"""

from __future__ import annotations

from typing import Any, ClassVar

from aiida.engine import ExitCode, ProcessSpec, WorkChain, calcfunction
from aiida.orm import Data, Dict, TrajectoryData, to_aiida_type
from pydantic import BaseModel

from ..dataset.trajectory import to_atoms
from ..host.workarounds.lost_connection import WithWorkarounds
from ..programs.resources import validate_resources
from ..programs.settings import validates

TOO_MANY_FAILURES = 400
"""Exit status of an oracle with more failed labels than `max_failed_fraction` allows."""


class OracleWorkChain(WithWorkarounds, WorkChain):
    """Base of all oracles: their common inputs, outputs and exit codes.

    A subclass sets :attr:`model`, declares the inputs of its own and the outline, sets `ctx.report` and attaches the labels.
    """

    model: ClassVar[type[BaseModel] | None] = None
    """Model of the settings; the base, whose inputs others expose, has none."""

    @classmethod
    def define(cls, spec: ProcessSpec) -> None:
        """Declare the inputs, outputs and exit codes of every oracle."""
        super().define(spec)
        spec.input_namespace(
            "structures",
            valid_type=TrajectoryData,
            dynamic=True,
            help="Structures to label: trajectories by name, such as `Cu4_111`.",
        )
        spec.input(
            "settings",
            valid_type=Dict,
            validator=None if cls.model is None else validates(cls.model),
            serializer=to_aiida_type,
            help=f"The settings of the oracle{'' if cls.model is None else f', `{cls.model.__name__}`'}.",
        )
        spec.input(
            "method",
            valid_type=Dict,
            serializer=to_aiida_type,
            help="Identity of the labels: everything that changes an energy, and nothing else.",
        )
        spec.input(
            "resources",
            valid_type=Dict,
            validator=validate_resources,
            serializer=to_aiida_type,
            help="Computer, cores, walltime and queue of the jobs: a `ResourcesConfig` as dictionary.",
        )
        spec.output_namespace(
            "labelled",
            valid_type=TrajectoryData,
            dynamic=True,
            help="Labelled structures: trajectories by name and job.",
        )
        spec.output("report", valid_type=Dict, help="Counts of structures and labels; failed labels with reasons.")
        spec.exit_code(
            TOO_MANY_FAILURES,
            "ERROR_TOO_MANY_FAILURES",
            message="{failed} of {total} labels failed, more than the {percent:.0f} % allowed by "
            "`max_failed_fraction`. Most frequent reason: {reason}",
        )

    @property
    def settings(self) -> Any:
        """Settings; not in the context, which must be serialisable."""
        assert self.model is not None
        return self.model.model_validate(self.inputs.settings.get_dict())

    def check_failures(self) -> ExitCode | None:
        """Return an exit code if a larger fraction of the labels failed than `max_failed_fraction`."""
        report, allowed = self.ctx.report.get_dict(), self.settings.max_failed_fraction
        failed = report["failed"]
        if report["labelled"] and len(failed) <= allowed * report["asked"]:
            return None
        reasons = [f"{failure['kind']}: {failure['reason']}" for failure in failed]
        return self.exit_codes.ERROR_TOO_MANY_FAILURES.format(
            failed=len(failed),
            total=report["asked"],
            percent=100.0 * allowed,
            reason=max(reasons, key=reasons.count) if reasons else "none",
        )


def expose_oracle(spec: ProcessSpec) -> None:
    """Declare the namespace `oracle`: the inputs of an oracle without the structures.

    Inputs that only one type of oracle has, such as its code or pseudopotentials, are accepted too, and checked by that oracle.
    """
    spec.expose_inputs(OracleWorkChain, namespace="oracle", exclude=("structures", "metadata"))
    spec.inputs["oracle"].dynamic = True
    spec.inputs["oracle"].valid_type = Data
    spec.inputs["oracle"].help = (
        "Inputs of the oracle without the structures. `verdi plugin list aiida.workflows NAME`, with the entry point of its "
        "WorkChain, also lists the inputs that only this oracle has."
    )


def failed_label(
    label: str, step: int, trajectory: TrajectoryData, calculation: str, *, kind: str, reason: str
) -> dict[str, Any]:
    """Return the record of a failed label, as the report of an oracle lists it.

    :param label: of the trajectory in the namespace of structures; `step` is that of the structure.
    :param calculation: uuid of the one that failed.
    """
    return {
        "label": label,
        "step": step,
        "family": to_atoms(trajectory, [step])[0].info["family"],
        "kind": kind,
        "reason": reason,
        "trajectory": trajectory.uuid,
        "calculation": calculation,
    }


@calcfunction
def merge_reports(given_up: Dict, **reports: Dict) -> Dict:
    """Merge the reports of the jobs of an oracle into one.

    :param given_up: `failed`: structures that no job finished, with the reason.
    :param reports: reports of the jobs, merged in the order of their names.
    :returns: `asked` (number of structures), `labelled`, `failed` (a list, see :func:`failed_label`),
        `jobs`, `job_time_s` and the software `versions` of the jobs.
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
