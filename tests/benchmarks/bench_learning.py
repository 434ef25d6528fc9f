"""Active learning of copper with effective medium theory: errors on a broad test set against the number of labels.

    python -m tests.benchmarks.bench_learning [--seeds 1 2 3] [--max-labels 100] [--picoseconds 100]

The test set is that of `bench_selection`, so that its errors without active learning can be compared. Prints a line for each
round: number of labels, root mean square errors of energies (meV/atom) and forces (eV/Å), the limit and the largest grade; then
the time; then the result of molecular dynamics at 1,500 K with the last potential of the first seed. Each run is submitted to a
daemon of a new temporary profile.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from ase import units
from ase.build import bulk
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.neighborlist import neighbor_list

from tests.benchmarks.profile import temporary_profile

TEMPERATURE, TIMESTEP = 1500.0, 2.0


def learn(seed: int, max_labels: int) -> tuple[float, Any]:
    """Return the seconds from submission to the end, and the finished run."""
    from aiida.engine import submit

    from aiida_mlip_autopipec.config.schemas.pipeline import PipelineConfig
    from aiida_mlip_autopipec.pipelines.builders import build_learning

    config = PipelineConfig(
        elements=["Cu"],
        generator={"seed": seed},
        exploration={"seed": seed},
        training={"seed": seed},
        learning={"max_labels": max_labels, "start": min(40, max_labels)},
    )
    begun = time.perf_counter()
    run = submit(build_learning(config))
    while not run.is_terminated:
        time.sleep(0.5)
    if not run.is_finished_ok:
        raise SystemExit(f"the run failed: {run.exit_message}")
    return time.perf_counter() - begun, run


def potentials_of(run: Any) -> dict[int, Any]:
    """Return the potential of each round; that of the start is number 0."""
    from aiida.common.links import LinkType

    called = {link.link_label: link.node for link in run.base.links.get_outgoing(link_type=LinkType.CALL_WORK).all()}
    found = {0: called["start"].outputs}
    for label, node in called.items():
        if label.startswith("train_"):
            found[int(label.removeprefix("train_"))] = node.outputs
    return found


@contextmanager
def file_of(outputs: Any) -> Iterator[Path]:
    """Yield the file of a potential."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "potential.yace"
        path.write_bytes(outputs.potential.get_content(mode="rb"))
        yield path


def errors(outputs: Any) -> dict[str, Any]:
    """Return the errors on the broad test set."""
    from tests.benchmarks.broad_copper import broad_errors

    with file_of(outputs) as path:
        return broad_errors(path, outputs.metrics["reference_energies_eV"]["Cu"])


def dynamics(outputs: Any, picoseconds: float) -> str:
    """Run molecular dynamics of 32 atoms at constant temperature, and return the result as text."""
    from pyace import PyACECalculator

    atoms = bulk("Cu", a=3.7, cubic=True) * (2, 2, 2)
    with file_of(outputs) as path:
        atoms.calc = PyACECalculator(str(path))
    random = np.random.default_rng(0)
    MaxwellBoltzmannDistribution(atoms, temperature_K=TEMPERATURE, rng=random)
    run = Langevin(atoms, TIMESTEP * units.fs, temperature_K=TEMPERATURE, friction=0.01 / units.fs, rng=random)
    closest = np.inf
    for done in range(int(picoseconds * 1000 / TIMESTEP / 100)):
        run.run(100)
        distances = neighbor_list("d", atoms, 3.0)
        closest = min(closest, float(distances.min(initial=3.0)))
        if not np.isfinite(atoms.get_potential_energy()) or atoms.get_temperature() > 5 * TEMPERATURE:
            return f"exploded after {(done + 1) * TIMESTEP / 10:.1f} ps; closest atoms {closest:.2f} Å"
    alone = len(atoms) - len(set(neighbor_list("i", atoms, 4.0).tolist()))
    return f"{picoseconds:g} ps at {TEMPERATURE:g} K: {alone} atoms lost, closest {closest:.2f} Å"


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--max-labels", type=int, default=100)
    parser.add_argument("--picoseconds", type=float, default=100.0)
    arguments = parser.parse_args()
    with temporary_profile():
        from aiida_mlip_autopipec.host.daemon import ensure_daemon

        daemon = ensure_daemon()
        try:
            last = None
            for seed in arguments.seeds:
                seconds, run = learn(seed, arguments.max_labels)
                learned, potentials = run.outputs.learning.get_dict(), potentials_of(run)
                for row in learned["rounds"]:
                    if row["round"] in potentials:
                        found = errors(potentials[row["round"]])
                        explored = row.get("explored", {}).get("largest_grade")
                        print(
                            f"seed {seed} round {row['round']}: {row['total']:4} labels, {found['energy']:7.2f} meV/atom, "
                            f"{found['force']:.4f} eV/Å; limit {row.get('select_grade')}, largest grade {explored}",
                            flush=True,
                        )
                print(f"seed {seed}: {seconds:.0f} s, ended by '{learned['ended']}'", flush=True)
                last = last or potentials[max(potentials)]
            if arguments.picoseconds:
                print(dynamics(last, arguments.picoseconds))
        finally:
            daemon.stop_daemon(wait=True)


if __name__ == "__main__":
    main()
