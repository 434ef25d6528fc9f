"""Trials of a computer by real jobs: a label of one structure, and a tiny fit."""

from __future__ import annotations

import time
from collections.abc import Callable

from aiida import orm
from aiida.engine import ProcessBuilder, submit
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from ..config.read import ConfigError
from ..config.schemas.oracle import AseOracleConfig, QuantumEspressoOracleConfig
from ..config.schemas.pipeline import TrainingRunConfig
from ..config.schemas.resources import ResourcesConfig
from ..dataset.trajectory import to_trajectories
from ..oracle.labelling import LabellingWorkChain
from ..oracle.prepare import prepare_oracle
from ..workflows.builder import build_training
from .finding import Finding, one_line

POLL_SECONDS = 1.0
_BOX = 10.0
_LATTICE_CONSTANTS = (3.4, 3.5, 3.6, 3.7, 3.8)


def label_one(
    oracle: AseOracleConfig | QuantumEspressoOracleConfig, element: str, resources: ResourcesConfig
) -> ProcessBuilder:
    """Return the builder of a labelling of one atom, which is computed even if its label is known."""
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
    """Return the builder of a fit of seconds, to copper that is labelled here and now."""
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


def run_trial(name: str, builder: ProcessBuilder, seconds: float) -> Finding:
    """Give a trial to the daemon and wait for its end."""
    node = submit(builder)
    begun = time.monotonic()
    while not node.is_terminated:
        if time.monotonic() - begun > seconds:
            mend = f"what it waits for: verdi process status {node.pk}; it goes on, to end it: verdi process kill {node.pk}"
            return Finding(name, "failed", f"not done after {seconds:.0f} s ({_where(node)})", mend)
        paused = next((child for child in node.called_descendants if child.paused), None)
        if paused is not None:
            mend = f"verdi process report {paused.pk}; to end it: verdi process kill {node.pk}"
            return Finding(name, "failed", f"its job is paused: {paused.process_status}", mend)
        time.sleep(POLL_SECONDS)
    jobs = [child for child in node.called_descendants if isinstance(child, orm.CalcJobNode)]
    if node.is_finished_ok and jobs:
        return Finding(name, "ok", f"job {jobs[-1].get_job_id()}, {time.monotonic() - begun:.0f} s")
    reason = node.exit_message or (node.exception or "").strip() or "killed"
    return Finding(name, "failed", " ".join(reason.split())[:300], f"verdi process report {node.pk}")


def try_out(name: str, make: Callable[[], ProcessBuilder], seconds: float) -> Finding:
    """Build a trial and run it; what is missing for it is a finding too."""
    try:
        return run_trial(name, make(), seconds)
    except (ConfigError, ValueError) as error:
        return Finding(name, "failed", one_line(error))


def _where(node: orm.ProcessNode) -> str:
    jobs = [child for child in node.called_descendants if isinstance(child, orm.CalcJobNode)]
    state = jobs[-1].get_scheduler_state() if jobs else None
    return f"job {jobs[-1].get_job_id()}: {state.value if state else 'being prepared'}" if jobs else "no job yet"
