"""Oracle that labels structures with pw.x of Quantum ESPRESSO, one `PwBaseWorkChain` for each structure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import Any

from aiida.common import AttributeDict
from aiida.common.links import LinkType
from aiida.engine import ProcessSpec, while_
from aiida.orm import (
    AbstractCode,
    CalcFunctionNode,
    CalcJobNode,
    Data,
    Dict,
    Float,
    Int,
    KpointsData,
    List,
    QueryBuilder,
    TrajectoryData,
    WorkChainNode,
    load_node,
)
from aiida.plugins import WorkflowFactory
from aiida_pseudo.data.pseudo import UpfData

from ..config.schemas.oracle import QuantumEspressoOracleConfig
from ..dataset.identity import method_id, structure_key
from ..dataset.trajectory import to_atoms
from ..programs.failures import reason_of
from ..programs.resources import mpi_job_options
from ..programs.submit_once import submit_once
from .batches import FrameIndex
from .claims import CLAIM, set_claim
from .contract import merge_reports
from .pw_calcfunctions import collect_pw_labels, make_cells
from .pw_inputs import estimated_cost, kpoint_mesh, pw_parameters
from .slots import SlotsOracleWorkChain

PwBaseWorkChain = WorkflowFactory("quantumespresso.pw.base")


class QuantumEspressoOracleWorkChain(SlotsOracleWorkChain):
    """Labels structures by calculations of which at most `max_concurrent_jobs` are in the queue; failed labels are reported."""

    model = QuantumEspressoOracleConfig

    @classmethod
    def define(cls, spec: ProcessSpec) -> None:
        """Declare inputs, outline, outputs and exit codes."""
        super().define(spec)
        spec.input("code", valid_type=AbstractCode, help="The code of pw.x.")
        spec.input_namespace("pseudos", valid_type=UpfData, dynamic=True, help="Pseudopotentials, by element.")

        spec.outline(
            cls.order_by_cost,
            while_(cls.has_work)(
                cls.fill_slots,
                cls.collect_labels,
            ),
            cls.write_report,
            cls.check_failures,
        )

    def order_by_cost(self) -> None:
        """Begin without calculations; the structures follow in the order of :attr:`_frames`, by cost."""
        self.ctx.cells, self.ctx.frames = {}, {}
        self.ctx.ended, self.ctx.parts = [], []
        self.open_slots()
        self.report(f"{len(self._frames)} structures, at most {self.settings.max_concurrent_jobs} at a time")

    @cached_property
    def _frames(self) -> list[FrameIndex]:
        """The structures, the most expensive first, so that no expensive calculation runs alone at the end.

        Not in the context, which is written after each step.
        """
        settings, structures = self.settings, self.inputs.structures
        valence = {element: float(pseudo.z_valence) for element, pseudo in self.inputs.pseudos.items()}
        costs = {
            (label, step): estimated_cost(atoms, valence, settings)
            for label in sorted(structures)
            for step, atoms in enumerate(to_atoms(structures[label]))
        }
        return sorted(costs, key=lambda frame: -costs[frame])

    def has_waiting(self) -> bool:
        """Return whether structures are left to submit."""
        return self.ctx.submitted < len(self._frames)

    def submit_next(self, number: int) -> WorkChainNode:
        """Submit the calculation of the next structure."""
        if str(number) not in self.ctx.cells:
            self._make_cells(number)
        settings, trajectories = self.settings, self.inputs.structures
        label, step = self._frames[number]
        atoms = to_atoms(trajectories[label], [step])[0]
        inputs = self._pw_base_inputs(atoms, settings)
        inputs.pw.structure = self.ctx.cells.pop(str(number))
        node = submit_once(self, PwBaseWorkChain, f"structure_{number}", **inputs)
        method = method_id(self.inputs.method.get_dict())
        set_claim(node, method, [structure_key(atoms)], source=[trajectories[label].uuid, step])
        self.ctx.frames[str(number)] = (label, step)
        return node

    def _make_cells(self, first: int) -> None:
        """Make the cells of the next structures together: one calculation function for all slots."""
        settings = self.settings
        frames = self._frames[first : first + settings.max_concurrent_jobs]
        needed = {label: self.inputs.structures[label] for label, _ in frames}
        cells = make_cells(List([list(frame) for frame in frames]), Float(settings.vacuum), **needed)
        self.ctx.cells = {str(first + index): cells[f"cell_{index}"] for index in range(len(frames))}

    @staticmethod
    def store_finished(keys: Collection[str], method: Dict) -> bool:
        """Store the labels of finished pw.x calculations whose run stopped before it stored them.

        :param keys: keys of the wanted structures.
        :returns: whether there were any.
        """
        filters = {f"extras.{CLAIM}.method": method_id(method.get_dict()), "attributes.exit_status": 0}
        query = QueryBuilder().append(WorkChainNode, filters=filters, project=["uuid", f"extras.{CLAIM}"])
        wanted = set(keys)
        found: dict[str, list[tuple[int, WorkChainNode]]] = {}
        for uuid, claim in query.all():
            if "source" in claim and not wanted.isdisjoint(claim["keys"]):
                wanted.difference_update(claim["keys"])
                trajectory, step = claim["source"]
                found.setdefault(trajectory, []).append((step, load_node(uuid)))
        for uuid, calculations in found.items():
            trajectory = load_node(uuid)
            _store_labels(
                [(trajectory.label, step, node) for step, node in calculations], method, {trajectory.label: trajectory}
            )
        return bool(found)

    def _pw_base_inputs(self, atoms: Any, settings: QuantumEspressoOracleConfig) -> AttributeDict:
        mesh = kpoint_mesh(atoms, settings.kpoints_distance)
        kpoints = KpointsData()
        kpoints.set_kpoints_mesh(mesh)
        pw = {
            "code": self.inputs.code,
            "pseudos": {element: self.inputs.pseudos[element] for element in sorted(set(atoms.get_chemical_symbols()))},
            "parameters": Dict(pw_parameters(atoms, settings)),
            "metadata": {"options": mpi_job_options(self.inputs.resources)},
        }
        if not atoms.pbc.any():
            pw["settings"] = Dict({"gamma_only": True})
        return AttributeDict(
            {"pw": AttributeDict(pw), "kpoints": kpoints, "max_iterations": Int(settings.max_iterations)}
        )

    def collect_labels(self) -> None:
        """Store the labels of calculations that have ended, as many together as there are slots."""
        self.ctx.ended += [(*self.ctx.frames.pop(str(number)), node) for number, node in self.take_ended()]
        if len(self.ctx.ended) < self.settings.max_concurrent_jobs and self.has_work():
            return
        node = _store_labels(self.ctx.ended, self.inputs.method, self.inputs.structures)
        self.ctx.ended = []
        self.ctx.parts.append(int(node.pk))

    def write_report(self) -> None:
        """Attach the labels, and merge the reports of the parts into one.

        Only at the end, since each step reads the links of all outputs.
        """
        reports = {}
        for number, pk in enumerate(self.ctx.parts):
            for link in load_node(pk).base.links.get_outgoing(link_type=LinkType.CREATE).all():
                if link.link_label == "report":
                    reports[f"part_{number}"] = link.node
                else:
                    self.out(f"labelled.{link.link_label}_{number}", link.node)
        self.ctx.report = merge_reports(given_up=Dict({"failed": []}), **reports)
        self.out("report", self.ctx.report)


def _store_labels(
    calculations: Sequence[tuple[str, int, WorkChainNode]], method: Dict, structures: Mapping[str, TrajectoryData]
) -> CalcFunctionNode:
    """Store labels and report of frames, given as (label of the trajectory, step, calculation); return what stored them."""
    records: list[dict[str, Any]] = []
    nodes: dict[str, Data] = {}
    for number, (label, step, calculation) in enumerate(calculations):
        nodes[f"structures_{label}"] = structures[label]
        records.append({"label": label, "step": step, **_outcome(calculation)})
        if calculation.is_finished_ok:
            nodes[f"parameters_{number}"] = calculation.outputs.output_parameters
            nodes[f"trajectory_{number}"] = calculation.outputs.output_trajectory
    _, stored = collect_pw_labels.run_get_node(List(records), method, **nodes)
    return stored


def _outcome(workchain: WorkChainNode) -> dict[str, Any]:
    """Return the last calculation of a structure, the wall time (s) of all, and kind and reason of a failure."""
    jobs = [node for node in workchain.called if isinstance(node, CalcJobNode)]
    last = max(jobs, key=lambda node: node.pk) if jobs else workchain
    times = [
        node.outputs.output_parameters.get("wall_time_seconds", 0.0)
        for node in jobs
        if "output_parameters" in node.outputs
    ]
    outcome = {"calculation": last.uuid, "wall_time_s": float(sum(times)), "kind": None, "reason": None}
    if not workchain.is_finished_ok:
        why = last.exit_message or reason_of(workchain)
        outcome |= {"kind": _failure_kind(last), "reason": f"{why} (pw.x was run {len(jobs)} times; node {last.pk})"}
    return outcome


def _failure_kind(job: Any) -> str:
    """Return the kind of a failure: the name of the exit code of the pw.x CalcJob, in lower case."""
    if job.exit_status is None:
        return "excepted" if job.is_excepted else "killed"
    for name, code in getattr(job.process_class, "exit_codes", {}).items():
        if code.status == job.exit_status:
            return name.removeprefix("ERROR_").lower()
    return "job_failed"
