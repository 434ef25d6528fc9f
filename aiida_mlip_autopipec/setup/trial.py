"""Checks of a computer by real jobs: a label of one structure, and a tiny fit."""

from __future__ import annotations

import time
from collections.abc import Callable

from aiida import orm
from aiida.engine import ProcessBuilder, submit
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from ..config.errors import UserError
from ..config.schemas.oracle import OracleBase
from ..config.schemas.pipeline import TrainingRunConfig
from ..config.schemas.resources import ResourcesConfig
from ..dataset.trajectory import to_trajectories
from ..oracle.prepare import prepare_oracle
from ..oracle.workchain import LabellingWorkChain
from ..pipelines.builders import build_training
from ..programs.failures import reason_of
from .check_result import CheckResult, one_line

POLL_SECONDS = 1.0
"""Time (s) between two looks at a process."""

_BOX = 10.0
"""Edge (Å) of the box of the labelled atom."""

_LATTICE_CONSTANTS = (3.4, 3.5, 3.6, 3.7, 3.8)
"""Lattice constants (Å) of the fitted structures of copper."""


def label_one(oracle: OracleBase, element: str, resources: ResourcesConfig) -> ProcessBuilder:
    """Return the builder of a labelling of one atom, without reuse of labels."""
    atoms = Atoms(element, cell=[_BOX] * 3, positions=[[_BOX / 2] * 3])
    atoms.info["family"] = "check"
    builder = LabellingWorkChain.get_builder()
    builder.structures = to_trajectories([atoms])
    builder.type = orm.Str(oracle.type)
    builder.oracle = prepare_oracle(oracle, resources, [element])
    builder.reuse = orm.Bool(False)
    builder.metadata.label = "check of a label"
    return builder


def tiny_fit(resources: ResourcesConfig) -> ProcessBuilder:
    """Return the builder of a fit that takes seconds, to copper with EMT labels."""
    structures = []
    for number, constant in enumerate(_LATTICE_CONSTANTS):
        atoms = bulk("Cu", cubic=True, a=constant)
        atoms.rattle(0.05, seed=number)
        atoms.calc = EMT()
        labels = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
        atoms.calc = SinglePointCalculator(atoms, **labels)
        atoms.info = {"family": "check", "split": "train"}
        structures.append(atoms)
    config = TrainingRunConfig(n_functions=5, order=2, cutoff=4.0, energy_weight=1.0, ridge=1e-6, resources=resources)
    return build_training(structures, config, "check")


def run_trial(name: str, builder: ProcessBuilder, seconds: float) -> CheckResult:
    """Submit a process to the daemon and wait until it ends, for at most `seconds`."""
    node = submit(builder)
    begun = time.monotonic()
    while not node.is_terminated:
        if time.monotonic() - begun > seconds:
            remedy = (
                f"it still runs; its state: verdi process status {node.pk}; to kill it: verdi process kill {node.pk}"
            )
            return CheckResult(name, "failed", f"not done after {seconds:.0f} s ({_job_state(node)})", remedy)
        paused = next((child for child in node.called_descendants if child.paused), None)
        if paused is not None:
            remedy = f"verdi process report {paused.pk}; to kill it: verdi process kill {node.pk}"
            return CheckResult(name, "failed", f"its job is paused: {paused.process_status}", remedy)
        time.sleep(POLL_SECONDS)
    jobs = [child for child in node.called_descendants if isinstance(child, orm.CalcJobNode)]
    if node.is_finished_ok and jobs:
        return CheckResult(name, "ok", f"job {jobs[-1].get_job_id()}, {time.monotonic() - begun:.0f} s")
    return CheckResult(name, "failed", " ".join(reason_of(node).split())[:300], f"verdi process report {node.pk}")


def try_out(name: str, make: Callable[[], ProcessBuilder], seconds: float) -> CheckResult:
    """Build and run a process; an error while it is built is a failed check."""
    try:
        return run_trial(name, make(), seconds)
    except (UserError, ValueError) as error:
        return CheckResult(name, "failed", one_line(error))


def _job_state(node: orm.ProcessNode) -> str:
    jobs = [child for child in node.called_descendants if isinstance(child, orm.CalcJobNode)]
    state = jobs[-1].get_scheduler_state() if jobs else None
    return f"job {jobs[-1].get_job_id()}: {state.value if state else 'being prepared'}" if jobs else "no job yet"
