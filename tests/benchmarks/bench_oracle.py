"""Additional cost of the workflow compared with the oracle alone, and the reduction by batches.

    python -m tests.benchmarks.bench_oracle [--pw 8] [--emt 50] [--overhead 100] [--upf FILE]

Prints JSON. `overhead`: seconds per label without those of the calculator or code: for a labelling of one structure (`alone`;
the goal is at most 3 s), and for one structure of a batch (at most 0.2 s); also the processor time of AiiDA, which depends
less on the load of the machine, and this load. For pw.x: seconds per structure of two silicon atoms in the oracle's
WorkChain, and for the same input files in a loop without AiiDA. For EMT: structures labelled per second in batches of 100,
and with one CalcJob for each. All in one process, without a daemon, so that no time is spent waiting for polls.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.build import bulk

from tests.benchmarks.profile import temporary_profile


def rattled(element: str, count: int, **options: Any) -> list[Atoms]:
    """Return different small crystals."""
    structures = []
    for seed in range(count):
        atoms = bulk(element, **options)
        atoms.rattle(0.05, seed=seed)
        structures.append(atoms)
    return structures


def run_oracle(config: Any, structures: list[Atoms]) -> tuple[float, Any]:
    """Return the seconds of a labelling without reuse, and its node."""
    from aiida.engine import run_get_node
    from aiida.plugins import WorkflowFactory

    from aiida_mlip_autopipec.config.schemas.resources import ResourcesConfig
    from aiida_mlip_autopipec.dataset.trajectory import to_trajectories
    from aiida_mlip_autopipec.oracle.prepare import prepare_oracle

    inputs = prepare_oracle(config, ResourcesConfig(), sorted(set(structures[0].get_chemical_symbols())))
    inputs["resources"].base.attributes.set("cores", 1)
    oracle = WorkflowFactory(f"mlip_autopipec.oracle.{config.type}")
    start = time.perf_counter()
    _, node = run_get_node(oracle, structures=to_trajectories(structures), **inputs)
    seconds = time.perf_counter() - start
    if not node.is_finished_ok:
        raise SystemExit(node.exit_message)
    return seconds, node


def bench_pw(count: int, upf: Path) -> dict[str, Any]:
    """Compare the oracle with bare pw.x on the same inputs."""
    from aiida_mlip_autopipec.config.schemas.oracle import QuantumEspressoOracleConfig

    config = QuantumEspressoOracleConfig(
        pseudopotentials={"Si": upf}, ecutwfc=18, kpoints_distance=0.3, max_concurrent_jobs=1
    )
    workflow, node = run_oracle(config, rattled("Si", count))
    bare = bare_pw_seconds(node)
    return {
        "structures": count,
        "workflow_s_per_structure": workflow / count,
        "bare_s_per_structure": bare / count,
        "cost_s_per_structure": (workflow - bare) / count,
    }


def bare_pw_seconds(node: Any) -> float:
    """Return the seconds of pw.x alone, on the input files of all jobs of a process."""
    from aiida.orm import CalcJobNode

    jobs = [called for called in node.called_descendants if isinstance(called, CalcJobNode)]
    start = time.perf_counter()
    for job in jobs:
        with tempfile.TemporaryDirectory() as folder:
            for name in ("pseudo", "out"):
                (Path(folder) / name).mkdir()
            for pseudo in job.inputs.pseudos.values():
                (Path(folder) / "pseudo" / pseudo.filename).write_text(pseudo.get_content())
            (Path(folder) / "aiida.in").write_text(job.base.repository.get_object_content("aiida.in"))
            subprocess.run(
                ["pw.x", "-in", "aiida.in"],
                cwd=folder,
                check=True,
                capture_output=True,
                env={"OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"},
            )
    return time.perf_counter() - start


def label_seconds(config: Any, structures: list[Atoms]) -> tuple[float, float, Any]:
    """Return the seconds and the processor time of AiiDA (s) of a whole labelling, as a run has it, and its node.

    The inputs are prepared before.
    """
    from aiida.engine import run_get_node
    from aiida.orm import Bool, Str

    from aiida_mlip_autopipec.config.schemas.resources import ResourcesConfig
    from aiida_mlip_autopipec.dataset.trajectory import to_trajectories
    from aiida_mlip_autopipec.oracle.prepare import prepare_oracle
    from aiida_mlip_autopipec.oracle.workchain import LabellingWorkChain

    oracle = prepare_oracle(config, ResourcesConfig(cores=1), sorted(set(structures[0].get_chemical_symbols())))
    inputs = {"structures": to_trajectories(structures), "type": Str(config.type), "oracle": oracle}
    start, processor = time.perf_counter(), time.process_time()
    _, node = run_get_node(LabellingWorkChain, reuse=Bool(False), **inputs)
    seconds, processor = time.perf_counter() - start, time.process_time() - processor
    if not node.is_finished_ok:
        raise SystemExit(node.exit_message)
    return seconds, processor, node


def bare_emt_seconds(structures: list[Atoms]) -> float:
    """Return the seconds of ASE's calculator alone."""
    from ase.calculators.emt import EMT

    start = time.perf_counter()
    for atoms in structures:
        copy = atoms.copy()
        copy.calc = EMT()
        copy.get_potential_energy(), copy.get_forces(), copy.get_stress()
    return time.perf_counter() - start


def bench_overhead(count: int, upf: Path, repeats: int = 3) -> dict[str, Any]:
    """Measure the cost of a label without that of the code: of one structure (median of repetitions), and in a batch."""
    from aiida_mlip_autopipec.config.schemas.oracle import AseOracleConfig, QuantumEspressoOracleConfig

    emt = AseOracleConfig(structures_per_job=count)
    # The first process imports what all others need.
    label_seconds(emt, rattled("Cu", 1, cubic=True))
    alone, processor = [], []
    for atoms in rattled("Cu", repeats, cubic=True):
        seconds, used, _ = label_seconds(emt, [atoms])
        alone.append(seconds - bare_emt_seconds([atoms]))
        processor.append(used)
    batch = rattled("Cu", count, cubic=True)
    seconds, used, _ = label_seconds(emt, batch)
    found = {
        "emt_alone_s": statistics.median(alone),
        "emt_alone_processor_s": statistics.median(processor),
        "emt_in_a_batch_s": (seconds - bare_emt_seconds(batch)) / count,
        "emt_in_a_batch_processor_s": used / count,
        "structures_in_the_batch": count,
    }
    if upf.exists():
        pw = QuantumEspressoOracleConfig(pseudopotentials={"Si": upf}, ecutwfc=18, kpoints_distance=0.3)
        alone, processor = [], []
        for atoms in rattled("Si", repeats + 1):
            seconds, used, node = label_seconds(pw, [atoms])
            alone.append(seconds - bare_pw_seconds(node))
            processor.append(used)
        found |= {"pw_alone_s": statistics.median(alone[1:]), "pw_alone_processor_s": statistics.median(processor[1:])}
    return {**found, "load": os.getloadavg()[0]}


def bench_emt(count: int) -> dict[str, Any]:
    """Compare batches with one CalcJob for each structure."""
    from aiida_mlip_autopipec.config.schemas.oracle import AseOracleConfig

    structures = rattled("Cu", count, cubic=True)
    batched, _ = run_oracle(AseOracleConfig(structures_per_job=100), structures)
    single, _ = run_oracle(AseOracleConfig(structures_per_job=1), structures)
    return {
        "structures": count,
        "batched_structures_per_s": count / batched,
        "single_structures_per_s": count / single,
        "ratio": single / batched,
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pw", type=int, default=8, help="structures for pw.x; 0 for none")
    parser.add_argument("--emt", type=int, default=50, help="structures for EMT; 0 for none")
    parser.add_argument("--overhead", type=int, default=100, help="structures in a batch; 0 for no overhead")
    parser.add_argument("--upf", type=Path, default=Path("/usr/share/espresso/pseudo/Si.pz-vbc.UPF"))
    arguments = parser.parse_args()
    report = {}
    with temporary_profile():
        if arguments.pw:
            report["pw"] = bench_pw(arguments.pw, arguments.upf)
        if arguments.overhead:
            report["overhead"] = bench_overhead(arguments.overhead, arguments.upf)
        if arguments.emt:
            report["emt"] = bench_emt(arguments.emt)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
