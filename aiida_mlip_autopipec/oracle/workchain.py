"""Labelling by an oracle: existing labels are reused, the other structures are computed by one run only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aiida.engine import ExitCode, ProcessSpec, ToContext, WorkChain, calcfunction, if_, while_
from aiida.orm import Bool, Dict, Int, ProcessNode, Str, TrajectoryData, load_node
from aiida.plugins import WorkflowFactory

from ..config.oracles import find_oracle
from ..dataset.frame_files import count_structures
from ..dataset.identity import method_id
from ..host.workarounds.lost_connection import WithWorkarounds
from ..programs.failures import reason_of
from ..programs.submit_once import submit_once
from .claims import PROGRESS, claim, owners, release, root_pk, set_claim
from .contract import TOO_MANY_FAILURES, expose_oracle
from .reuse import Matches, find_labels, find_older_labels, reuse_labels, structure_keys

POLL_SECONDS = 2.0
"""Interval (s) at which a waiting labelling checks the claims of other processes."""


@calcfunction
def complete_report(reused: Int, **reports: Dict) -> Dict:
    """Merge the reports of the oracle into one, and add the number of reused labels.

    :param reports: `computed_<number>`, one for each call of the oracle.
    """
    content: dict[str, Any] = {"asked": 0, "labelled": 0, "failed": [], "jobs": 0, "job_time_s": 0.0, "versions": {}}
    for name in sorted(reports):
        report = reports[name].get_dict()
        for key in ("asked", "labelled", "failed", "jobs", "job_time_s"):
            content[key] += report[key]
        content["versions"] = report["versions"] or content["versions"]
    count = reused.value
    return Dict(
        {**content, "asked": content["asked"] + count, "labelled": content["labelled"] + count, "reused": count}
    )


class LabellingWorkChain(WithWorkarounds, WorkChain):
    """Labels structures: reuses existing labels, waits for labels that another run computes, and computes the rest.

    It claims the structures that it computes, so that no other run computes them, and releases the claim as soon as the labels
    are stored. While it waits it claims no structures, so that no two labellings wait for each other.
    """

    @classmethod
    def define(cls, spec: ProcessSpec) -> None:
        """Declare inputs, outline, outputs and exit codes."""
        super().define(spec)
        spec.input_namespace(
            "structures",
            valid_type=TrajectoryData,
            dynamic=True,
            help="Structures to label: trajectories by name, such as `Cu4_111`.",
        )
        spec.input("type", valid_type=Str, help="Type of the oracle.")
        expose_oracle(spec)
        spec.input(
            "reuse",
            valid_type=Bool,
            default=lambda: Bool(True),
            help="Whether to reuse existing labels, and to wait for labels that another run computes.",
        )

        spec.outline(
            cls.begin,
            while_(cls.has_open)(
                if_(cls.may_reuse)(cls.look_up).else_(cls.claim_all),
                if_(cls.has_claimed)(
                    cls.compute,
                    cls.collect,
                ).elif_(cls.has_to_wait)(
                    cls.wait,
                ),
            ),
            cls.results,
        )

        spec.output_namespace("labelled", valid_type=TrajectoryData, dynamic=True, help="Labelled structures.")
        spec.output("report", valid_type=Dict, help="Counts of structures, labels, reused labels; failed labels.")
        spec.exit_code(410, "ERROR_ORACLE_FAILED", message="{reason}")

    def begin(self) -> None:
        """Initialise the context: no structure has a label yet."""
        self.ctx.open = dict(self.inputs.structures)
        self.ctx.claimed = {}
        self.ctx.known = []
        self.ctx.oracles = []
        self.ctx.awaited_keys, self.ctx.awaited_pks = [], []

    def has_open(self) -> bool:
        """Return whether structures have neither a label nor a failed label."""
        return bool(self.ctx.open)

    def may_reuse(self) -> bool:
        """Return whether labels of other runs may be reused."""
        return bool(self.inputs.reuse.value)

    def claim_all(self) -> None:
        """Claim all structures, whether or not other runs have claimed them."""
        self.ctx.claimed, self.ctx.open = self.ctx.open, {}

    def look_up(self) -> None:
        """Claim the structures that no other run has claimed, then look up existing labels.

        In this order, since another run stores its labels before it releases its claim.
        """
        structures, method = self.ctx.open, self.inputs.oracle["method"]
        identity = method_id(method.get_dict())
        keys = structure_keys(structures)
        others = claim(self.node, identity, _flatten(keys))
        matches = self._find_labels(keys, identity)
        later = _steps_to_wait_for(keys, matches, others)
        self.ctx.awaited_keys = sorted({keys[label][step] for label, steps in later.items() for step in steps})
        self.ctx.awaited_pks = sorted({others[key] for key in self.ctx.awaited_keys if key in others})
        self.ctx.claimed, self.ctx.open, divided = {}, {}, {}
        for label, node in structures.items():
            if label not in matches and len(later.get(label, ())) in (0, node.numsteps):
                (self.ctx.open if label in later else self.ctx.claimed)[label] = node
            else:
                divided[label] = node
        if divided:
            self._divide(divided, method, matches, later)
        if self.ctx.known or self.ctx.open:
            self.report(
                f"{sum(map(count_structures, self.ctx.known))} labels are reused, "
                f"{count_structures(self.ctx.claimed)} are computed, "
                f"{count_structures(self.ctx.open)} wait for labels that are being computed"
            )
        self._store_progress([])

    def _find_labels(self, keys: dict[str, list[str]], method: str) -> dict[str, Matches]:
        """Return existing labels, after storing those of finished jobs whose run stopped before it stored them."""
        matches = find_labels(keys, method)
        oracle = self._oracle()
        missing = _missing(keys, matches)
        if missing and hasattr(oracle, "store_finished"):
            if oracle.store_finished(missing, self.inputs.oracle["method"]):
                matches = find_labels(keys, method)
            missing = _missing(keys, matches)
        if missing:
            found = set(_labelled_frames(matches))
            for label, older in find_older_labels(keys, self.inputs.oracle["method"].get_dict()).items():
                for uuid, steps in older.items():
                    if new := [pair for pair in steps if (label, pair[0]) not in found]:
                        matches.setdefault(label, {})[uuid] = new
        return matches

    def _oracle(self) -> Any:
        return WorkflowFactory(find_oracle(self.inputs.type.value).workchain)

    def _divide(
        self,
        structures: dict[str, TrajectoryData],
        method: Dict,
        matches: dict[str, Matches],
        later: dict[str, list[int]],
    ) -> None:
        nodes = {f"structures_{label}": node for label, node in structures.items()}
        nodes |= {f"labels_{uuid.replace('-', '')}": load_node(uuid) for found in matches.values() for uuid in found}
        outputs = reuse_labels(
            method, Dict(matches), Dict({label: later.get(label, []) for label in structures}), **nodes
        )
        if labelled := _namespace(outputs, "labelled"):
            self.ctx.known.append(labelled)
        self.ctx.claimed |= _namespace(outputs, "remaining")
        self.ctx.open |= _namespace(outputs, "later")

    def has_claimed(self) -> bool:
        """Return whether there are structures to compute."""
        return bool(self.ctx.claimed)

    def compute(self) -> ToContext:
        """Submit the oracle on the claimed structures."""
        number = len(self.ctx.oracles)
        node = submit_once(
            self,
            self._oracle(),
            f"oracle_{number}" if number else "oracle",
            structures=self.ctx.claimed,
            **self.inputs.oracle,
        )
        if self.inputs.reuse.value:
            method = method_id(self.inputs.oracle["method"].get_dict())
            set_claim(node, method, _flatten(structure_keys(self.ctx.claimed)))
        return ToContext(oracle=node)

    def collect(self) -> None:
        """Keep the result of the oracle and release the claim, so that other runs may try the failed structures."""
        self.ctx.oracles.append(self.ctx.oracle)
        self.ctx.claimed = {}
        release(self.node)

    def has_to_wait(self) -> bool:
        """Return whether open structures are claimed by other processes."""
        return bool(self.ctx.open and self.ctx.awaited_pks)

    def wait(self) -> None:
        """Wait until another process has released its claim of any of the structures, or has ended."""
        release(self.node)
        waiting_for = sorted({root_pk(pk) for pk in self.ctx.awaited_pks})
        self._store_progress(waiting_for)
        runs = ", ".join(map(str, waiting_for))
        self.report(f"waiting for the labels of {count_structures(self.ctx.open)} structures that run {runs} computes")
        self.ctx.awaits_claims = True
        # This node is a placeholder for the claims of other processes; `_action_awaitables` ends the wait.
        self.to_context(looked=self.node)
        self.set_status(f"Waiting for labels that run {runs} computes")

    def _action_awaitables(self) -> None:
        """Wait for the awaitables; also called when another daemon worker continues this process."""
        if self.ctx.get("awaits_claims"):
            self._poll_claims()
        else:
            super()._action_awaitables()

    def _poll_claims(self) -> None:
        if self.has_terminated() or not self._awaitables:
            return
        method = method_id(self.inputs.oracle["method"].get_dict())
        try:
            over = owners(method, self.ctx.awaited_pks, self.ctx.awaited_keys) != set(self.ctx.awaited_pks)
        except Exception:
            self.logger.exception("could not read the claims of other processes; retrying")
            over = False
        if over:
            self.ctx.awaits_claims = False
            self.call_soon(self._on_awaitable_finished, self._awaitables[0])
        else:
            self.loop.call_later(POLL_SECONDS, self._poll_claims)

    def _store_progress(self, waiting_for: list[int]) -> None:
        reused = sum(map(count_structures, self.ctx.known))
        self.node.base.extras.set(PROGRESS, {"reused": reused, "waiting_for": waiting_for})

    def results(self) -> ExitCode | None:
        """Attach all labels and the report."""
        for number, labelled in enumerate(self.ctx.known):
            for label, trajectory in labelled.items():
                self.out(f"labelled.{label}_known{number or ''}", trajectory)
        reports = {}
        for number, oracle in enumerate(self.ctx.oracles):
            for label, trajectory in oracle.outputs.labelled.items() if "labelled" in oracle.outputs else ():
                self.out(f"labelled.{label}{f'_more{number}' if number else ''}", trajectory)
            if "report" in oracle.outputs:
                reports[f"computed_{number:04d}"] = oracle.outputs.report
        report = complete_report(reused=Int(sum(map(count_structures, self.ctx.known))), **reports)
        self.out("report", report)
        for oracle in self.ctx.oracles:
            if not oracle.is_finished_ok and not self._failures_are_allowed(oracle, report):
                return self.exit_codes.ERROR_ORACLE_FAILED.format(reason=reason_of(oracle))
        return None

    def _failures_are_allowed(self, oracle: ProcessNode, report: Dict) -> bool:
        """Return whether an oracle ended with too many failed labels, although with the reused ones the fraction is allowed."""
        if oracle.exit_status != TOO_MANY_FAILURES or not report["reused"]:
            return False
        allowed = self.inputs.oracle["settings"].get("max_failed_fraction", 0.0)
        return bool(len(report["failed"]) <= allowed * report["asked"])


def _namespace(outputs: dict[str, Any], name: str) -> dict[str, TrajectoryData]:
    """Return the nodes of one namespace of the outputs of a calcfunction."""
    return {key.removeprefix(f"{name}__"): node for key, node in outputs.items() if key.startswith(f"{name}__")}


def _missing(keys: dict[str, list[str]], matches: dict[str, Matches]) -> set[str]:
    """Return the keys of the structures without an existing label."""
    found = {keys[label][step] for label, step in _labelled_frames(matches)}
    return {key for key in _flatten(keys) if key not in found}


def _flatten(keys: dict[str, list[str]]) -> list[str]:
    return [key for frame_keys in keys.values() for key in frame_keys]


def _labelled_frames(matches: dict[str, Matches]) -> Iterable[tuple[str, int]]:
    """Yield (label of the trajectory, step) of each frame that has a label."""
    for label, found in matches.items():
        for pairs in found.values():
            for step, _ in pairs:
                yield label, step


def _steps_to_wait_for(
    keys: dict[str, list[str]], matches: dict[str, Matches], others: dict[str, int]
) -> dict[str, list[int]]:
    """Return the steps to look up later: another process computes the label, or an earlier frame has the same structure key."""
    found, seen = set(_labelled_frames(matches)), set(others)
    later: dict[str, list[int]] = {}
    for label, frame_keys in keys.items():
        for step, key in enumerate(frame_keys):
            if (label, step) in found:
                continue
            if key in seen:
                later.setdefault(label, []).append(step)
            seen.add(key)
    return later
