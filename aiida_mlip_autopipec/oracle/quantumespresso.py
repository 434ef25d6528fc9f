"""The oracle that labels structures by Quantum ESPRESSO's pw.x, one job a structure."""

from __future__ import annotations

from typing import Any

from aiida.common import AttributeDict
from aiida.engine import ExitCode, ProcessSpec, WorkChain, append_, while_
from aiida.orm import AbstractCode, CalcJobNode, Dict, Float, Int, KpointsData, List, WorkChainNode
from aiida.plugins import WorkflowFactory
from aiida_pseudo.data.pseudo import UpfData

from ..config.schemas.oracle import QuantumEspressoOracleConfig
from ..dataset.trajectory import to_atoms
from ..jobs import mpi_job_options
from ..worker import EndsWithBroker
from .contract import declare_oracle, merge_reports, too_many_failures
from .pw_inputs import by_cost, estimated_cost, kpoint_mesh, pw_parameters
from .pw_process import collect_pw_labels, make_cells

PwBaseWorkChain = WorkflowFactory("quantumespresso.pw.base")


class QuantumEspressoOracleWorkChain(EndsWithBroker, WorkChain):
    """Labels structures in rounds of so many `PwBaseWorkChain` at a time; what fails is reported."""

    @classmethod
    def define(cls, spec: ProcessSpec) -> None:
        """Declare inputs, outline, outputs and exit codes."""
        super().define(spec)
        declare_oracle(spec, QuantumEspressoOracleConfig, "A `QuantumEspressoOracleConfig` with its cutoffs.")
        spec.input("code", valid_type=AbstractCode, help="The code of pw.x.")
        spec.input_namespace("pseudos", valid_type=UpfData, dynamic=True, help="Pseudopotentials, by element.")

        spec.outline(
            cls.order_by_cost,
            while_(cls.has_rounds)(
                cls.submit_round,
                cls.collect_labels,
            ),
            cls.write_report,
            cls.check_failures,
        )

    @property
    def settings(self) -> QuantumEspressoOracleConfig:
        """The settings; not kept in the context, which must be writable to a checkpoint."""
        return QuantumEspressoOracleConfig.model_validate(self.inputs.settings.get_dict())

    def order_by_cost(self) -> None:
        """Divide the structures into rounds of like cost, so that none waits long for another."""
        settings, structures = self.settings, self.inputs.structures
        valence = {element: float(pseudo.z_valence) for element, pseudo in self.inputs.pseudos.items()}
        frames, costs = [], []
        for label in sorted(structures):
            for step, atoms in enumerate(to_atoms(structures[label])):
                frames.append((label, step))
                costs.append(estimated_cost(atoms, valence, settings))
        self.ctx.rounds = by_cost(frames, costs, settings.max_concurrent_jobs)
        self.ctx.reports = []
        self.report(
            f"{len(frames)} structures in {len(self.ctx.rounds)} rounds of at most {settings.max_concurrent_jobs}"
        )

    def has_rounds(self) -> bool:
        """Say whether structures wait."""
        return bool(self.ctx.rounds)

    def submit_round(self) -> None:
        """Submit as many calculations as may be in the queue at a time."""
        self.ctx.frames, *self.ctx.rounds = self.ctx.rounds
        self.ctx.calculations = []
        settings = self.settings
        needed = {label: self.inputs.structures[label] for label, _ in self.ctx.frames}
        cells = make_cells(List(list(self.ctx.frames)), Float(settings.vacuum), **needed)
        for number, (label, step) in enumerate(self.ctx.frames):
            atoms = to_atoms(needed[label], [step])[0]
            inputs = self._inputs_of(atoms, settings)
            inputs.pw.structure = cells[f"cell_{number}"]
            self.to_context(calculations=append_(self.submit(PwBaseWorkChain, **inputs)))

    def _inputs_of(self, atoms: Any, settings: QuantumEspressoOracleConfig) -> AttributeDict:
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
        """Attach the labels of a round at once: what is finished is not lost whatever comes."""
        records, nodes = [], {}
        for number, ((label, step), calculation) in enumerate(zip(self.ctx.frames, self.ctx.calculations, strict=True)):
            nodes[f"structures_{label}"] = self.inputs.structures[label]
            records.append({"label": label, "step": step, **_outcome(calculation)})
            if calculation.is_finished_ok:
                nodes[f"parameters_{number}"] = calculation.outputs.output_parameters
                nodes[f"trajectory_{number}"] = calculation.outputs.output_trajectory
        labelled = collect_pw_labels(List(records), self.inputs.method, **nodes)
        done = len(self.ctx.reports)
        self.ctx.reports.append(labelled.pop("report"))
        for label, trajectory in labelled.items():
            self.out(f"labelled.{label}_{done}", trajectory)

    def write_report(self) -> None:
        """Merge the reports of the rounds."""
        reports = {f"round_{number}": report for number, report in enumerate(self.ctx.reports)}
        self.ctx.report = merge_reports(given_up=Dict({"failed": []}), **reports)
        self.out("report", self.ctx.report)

    def check_failures(self) -> ExitCode | None:
        """End with an error if more structures failed than the user allows."""
        return too_many_failures(self, self.ctx.report.get_dict(), self.settings.max_failed_fraction)


def _outcome(workchain: WorkChainNode) -> dict[str, Any]:
    """Return the calculation that labelled a structure, or why none did."""
    jobs = [node for node in workchain.called if isinstance(node, CalcJobNode)]
    last = max(jobs, key=lambda node: node.pk) if jobs else workchain
    times = [
        node.outputs.output_parameters.get("wall_time_seconds", 0.0)
        for node in jobs
        if "output_parameters" in node.outputs
    ]
    outcome = {"calculation": last.uuid, "wall_time_s": float(sum(times)), "kind": None, "reason": None}
    if not workchain.is_finished_ok:
        why = last.exit_message or workchain.exit_message or workchain.exception or str(workchain.process_state.value)
        outcome |= {"kind": _kind(last), "reason": f"{why} (pw.x was started {len(jobs)} times; node {last.pk})"}
    return outcome


def _kind(job: Any) -> str:
    """Return the kind of a failure: the name of the exit code of pw.x, as AiiDA knows it."""
    if job.exit_status is None:
        return "excepted" if job.is_excepted else "killed"
    for name, code in getattr(job.process_class, "exit_codes", {}).items():
        if code.status == job.exit_status:
            return name.removeprefix("ERROR_").lower()
    return "job_failed"
