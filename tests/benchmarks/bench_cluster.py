"""Cost of labelling in AiiDA on the test cluster (SLURM behind SSH, PostgreSQL, RabbitMQ); needs root.

    python -m tests.benchmarks.bench_cluster [--jobs 8] [--batches 1 10 100] [--workers 1 2 4]

For each number of daemon workers and of structures per job, prints the structures labelled per second, the processor time (s)
of the workers per job, and the growth of the database and of the file repository per structure. The structures are cubic
cells of copper, labelled by EMT in milliseconds, so that only AiiDA and the scheduler are measured. Then extrapolates to 10^6
structures on 100 nodes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from aiida_mlip_autopipec.config.schemas.oracle import AseOracleConfig
from tests.cluster.cluster import Cluster
from tests.cluster.new_user import NewUser, set_up

LABEL = """
import sys, time
from aiida import load_profile
load_profile()
from aiida.engine import submit
from aiida.plugins import WorkflowFactory
from ase.build import bulk
from aiida_mlip_autopipec.config.schemas.oracle import AseOracleConfig
from aiida_mlip_autopipec.config.schemas.resources import ResourcesConfig
from aiida_mlip_autopipec.dataset.trajectory import to_trajectories
from aiida_mlip_autopipec.oracle.prepare import prepare_oracle

jobs, batch, first = map(int, sys.argv[1:])
structures = []
# All structures differ, since AiiDA stores equal files only once.
for seed in range(first, first + jobs * batch):
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.05, seed=seed)
    atoms.info["family"] = "rattled"
    structures.append(atoms)
config = AseOracleConfig(structures_per_job=batch, max_concurrent_jobs=jobs)
resources = ResourcesConfig(computer="hpc", cores=1, memory_mb=300)
inputs = {"structures": to_trajectories(structures), **prepare_oracle(config, resources, ["Cu"])}
begun = time.monotonic()
node = submit(WorkflowFactory("mlip_autopipec.oracle.ase"), **inputs)
while not node.is_terminated:
    time.sleep(0.2)
assert node.is_finished_ok, node.exit_message
print(time.monotonic() - begun)
"""

STRUCTURES, NODES = 1_000_000, 100
DEFAULT_JOBS_AT_A_TIME = AseOracleConfig().max_concurrent_jobs


@dataclass(frozen=True)
class Cost:
    """The result of a measurement: jobs of `batch` structures by a number of workers."""

    workers: int
    batch: int
    jobs_per_s: float
    cpu_s_per_job: float
    database_kb_per_structure: float
    repository_kb_per_structure: float


@contextmanager
def daemon(new_user: NewUser, workers: int) -> Iterator[None]:
    """Run a daemon with a number of workers."""
    new_user.aiida.verdi("daemon", "start", str(workers))
    try:
        yield
    finally:
        new_user.aiida.verdi("daemon", "stop")


def measure(new_user: NewUser, database: psycopg.Connection[tuple[int]], workers: int, jobs: int, batch: int) -> Cost:
    """Label `jobs` batches."""

    def cpu() -> float:
        return sum(sum(worker.cpu_times()[:2]) for worker in new_user.workers())

    def sizes() -> tuple[int, int]:
        row = database.execute("SELECT pg_database_size(current_database())").fetchone()
        assert row is not None
        files = (path for path in (new_user.home / ".aiida/repository").rglob("*") if path.is_file())
        return row[0], sum(path.stat().st_size for path in files)

    cpu_before, before = cpu(), sizes()
    first = int(time.monotonic() * 1000) % 2**31
    seconds = float(new_user.aiida.run("python", "-c", LABEL, str(jobs), str(batch), str(first)).split()[-1])
    structures = jobs * batch
    grown = [(after - first) / structures / 1024 for first, after in zip(before, sizes(), strict=True)]
    return Cost(workers, batch, jobs / seconds, (cpu() - cpu_before) / jobs, *grown)


def extrapolated(costs: list[Cost]) -> Iterator[str]:
    """Yield the extrapolated cost of 10^6 structures on 100 nodes, from the measurements with the most workers."""
    most = max(cost.workers for cost in costs)
    yield f"{STRUCTURES:.0e} structures on {NODES} nodes, {most} workers:"
    for cost in (cost for cost in costs if cost.workers == most):
        jobs = STRUCTURES / cost.batch
        yield (
            f"  {cost.batch} a job: {jobs:.0f} jobs, {jobs * cost.cpu_s_per_job / 3600:.1f} h of processor time, "
            f"{STRUCTURES * cost.database_kb_per_structure / 1024**2:.1f} GB of database, "
            f"{STRUCTURES * cost.repository_kb_per_structure / 1024**2:.1f} GB of files; the daemon handles "
            f"{cost.jobs_per_s:.2f} jobs/s, so {jobs / cost.jobs_per_s / 3600:.1f} h at least, and {NODES} nodes are kept busy "
            f"by jobs longer than {NODES / cost.jobs_per_s:.0f} s"
        )
    yield (
        f"  The first limit is oracle.max_concurrent_jobs: by default {DEFAULT_JOBS_AT_A_TIME} jobs at a time, so at most "
        f"{DEFAULT_JOBS_AT_A_TIME} of {NODES} nodes work. The second is "
        "structures_per_job: jobs must be longer than the times above."
    )


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=8, help="jobs of each measurement, all in the queue at a time")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 10, 100], help="structures a job")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    arguments = parser.parse_args()
    cluster = Cluster()
    cluster.up(Path(sys.prefix))
    costs = []
    with tempfile.TemporaryDirectory() as home:
        new_user = set_up(cluster.describe(), Path(home))
        new_user.accept_host_key()
        print(
            "workers  structures/job  structures/s   jobs/s  processor s/job  database kB/structure  files kB/structure"
        )
        with new_user.connect() as database:
            for workers in arguments.workers:
                with daemon(new_user, workers):
                    # The first jobs fill caches, so they are not measured.
                    measure(new_user, database, workers, arguments.jobs, 1)
                    for batch in arguments.batches:
                        cost = measure(new_user, database, workers, arguments.jobs, batch)
                        costs.append(cost)
                        print(
                            f"{workers:7d}  {batch:14d}  {cost.jobs_per_s * batch:12.2f}  {cost.jobs_per_s:7.3f}  "
                            f"{cost.cpu_s_per_job:9.2f}  {cost.database_kb_per_structure:21.2f}  "
                            f"{cost.repository_kb_per_structure:18.2f}",
                            flush=True,
                        )
    print("\n".join(extrapolated(costs)))


if __name__ == "__main__":
    main()
