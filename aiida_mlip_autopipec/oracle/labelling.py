"""The labelling of structures by an oracle, save those whose labels exist."""

from __future__ import annotations

from typing import Any

from aiida.engine import ExitCode, ProcessSpec, ToContext, WorkChain, calcfunction, if_
from aiida.orm import Bool, Data, Dict, Int, Str, TrajectoryData, load_node
from aiida.plugins import WorkflowFactory

from ..dataset.trajectory import count_frames
from ..worker import EndsWithBroker
from .reuse import find_labels, reuse_labels

ORACLES = "mlip_autopipec.oracle."
"""Prefix of the entry points of oracles."""


@calcfunction
def complete_report(reused: Int, **report: Dict) -> Dict:
    """Return the report of an oracle, if it was asked at all, with the labels that were taken from the database."""
    content: dict[str, Any] = {"asked": 0, "labelled": 0, "failed": [], "jobs": 0, "job_time_s": 0.0, "versions": {}}
    if report:
        content = report["computed"].get_dict()
    taken = reused.value
    return Dict(
        {**content, "asked": content["asked"] + taken, "labelled": content["labelled"] + taken, "reused": taken}
    )


class LabellingWorkChain(EndsWithBroker, WorkChain):
    """Labels structures: what this profile knows is taken from there, the rest goes to the oracle."""

    @classmethod
    def define(cls, spec: ProcessSpec) -> None:
        """Declare inputs, outline, outputs and exit codes."""
        super().define(spec)
        spec.input_namespace("structures", valid_type=TrajectoryData, dynamic=True, help="Structures, by label.")
        spec.input("type", valid_type=Str, help="Type of the oracle.")
        spec.input_namespace("oracle", valid_type=Data, dynamic=True, help="Its inputs, but for the structures.")
        spec.input("reuse", valid_type=Bool, default=lambda: Bool(True), help="Whether to take labels that exist.")

        spec.outline(
            if_(cls.may_reuse)(cls.look_up),
            if_(cls.has_remaining)(cls.compute),
            cls.results,
        )

        spec.output_namespace("labelled", valid_type=TrajectoryData, dynamic=True, help="Labelled structures.")
        spec.output("report", valid_type=Dict, help="Asked, labelled, reused, failed with reasons.")
        spec.exit_code(410, "ERROR_ORACLE_FAILED", message="{reason}")

    def may_reuse(self) -> bool:
        """Say whether labels that exist may be taken."""
        self.ctx.remaining = dict(self.inputs.structures)
        self.ctx.reused = 0
        return bool(self.inputs.reuse.value)

    def look_up(self) -> None:
        """Take the labels that exist."""
        method = self.inputs.oracle["method"]
        matches = find_labels(self.inputs.structures, method.get_dict())
        if not matches:
            return
        nodes = {f"structures_{label}": self.inputs.structures[label] for label in matches}
        nodes |= {f"labels_{uuid.replace('-', '')}": load_node(uuid) for found in matches.values() for uuid in found}
        outputs = reuse_labels(method, Dict(matches), **nodes)
        labelled = _namespace(outputs, "labelled")
        for label, trajectory in labelled.items():
            self.out(f"labelled.{label}_known", trajectory)
        self.ctx.reused = count_frames(labelled)
        untouched = {label: node for label, node in self.inputs.structures.items() if label not in matches}
        self.ctx.remaining = {**untouched, **_namespace(outputs, "remaining")}
        self.report(f"{self.ctx.reused} labels exist already, {count_frames(self.ctx.remaining)} are to be computed")

    def has_remaining(self) -> bool:
        """Say whether there is anything to compute."""
        return bool(self.ctx.remaining)

    def compute(self) -> ToContext:
        """Ask the oracle."""
        node = self.submit(
            WorkflowFactory(f"{ORACLES}{self.inputs.type.value}"),
            structures=self.ctx.remaining,
            **self.inputs.oracle,
            metadata={"call_link_label": "oracle"},
        )
        return ToContext(oracle=node)

    def results(self) -> ExitCode | None:
        """Attach all labels and the report."""
        oracle = self.ctx.get("oracle")
        if oracle is not None and "labelled" in oracle.outputs:
            for label, trajectory in oracle.outputs.labelled.items():
                self.out(f"labelled.{label}", trajectory)
        computed = {"computed": oracle.outputs.report} if oracle is not None and "report" in oracle.outputs else {}
        self.out("report", complete_report(reused=Int(self.ctx.reused), **computed))
        if oracle is not None and not oracle.is_finished_ok:
            return self.exit_codes.ERROR_ORACLE_FAILED.format(reason=oracle.exit_message or oracle.process_state)
        return None


def _namespace(outputs: dict[str, Any], name: str) -> dict[str, TrajectoryData]:
    """Return the nodes of a namespace of the outputs of a calcfunction."""
    return {key.removeprefix(f"{name}__"): node for key, node in outputs.items() if key.startswith(f"{name}__")}
