"""How busy the oracle keeps its job slots with labels of very unequal cost, compared with batches of jobs.

    python -m tests.benchmarks.bench_slots [--slots 4] [--labels 40] [--shortest 10] [--longest 120] [--only slots]

Prints a table, and JSON. Each label is a job that waits, so that other work on the machine does not change the cost of a
label; the costs are spread evenly on a logarithmic scale, in random order, and neither oracle knows them. Both oracles run on
the same daemon, one after the other: that of the package, and one whose batches of jobs wait for their slowest job.

`busy`: fraction of the slots that held the script of a job, from the first job until the last one began; `overall`: the same
from the submission of the oracle to the end of its last job, when slots are empty since no labels are left. `computing`:
fraction of the slots that held a calculator at work, without the start of Python, from the first job until the last one began.
`idle`: median seconds between the end of a job's script and the begin of the next one in its slot. `daemon`: processor time of
the daemon for a label. On a machine that does other work, too, the start of jobs takes longer: then choose longer labels.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk

from tests.benchmarks.bench_one_shot import processor_time_of
from tests.benchmarks.profile import temporary_profile
from tests.benchmarks.unequal import LARGEST, SMALLEST

ROOT = Path(__file__).parents[2]


def crystals(labels: int) -> list[Atoms]:
    """Return cubic copper crystals whose lattice constants, and so costs, are in random order."""
    constants = np.random.default_rng(0).permutation(np.linspace(SMALLEST, LARGEST, labels))
    return [bulk("Cu", a=a, cubic=True) for a in constants]


def submitted(process: Any, structures: list[Atoms], slots: int, seconds: tuple[float, float], folder: Path) -> Any:
    """Submit an oracle, wait for its end, and return its node."""
    from aiida.engine import submit

    from aiida_mlip_autopipec.config.schemas.oracle import AseOracleConfig
    from aiida_mlip_autopipec.config.schemas.resources import ResourcesConfig
    from aiida_mlip_autopipec.dataset.trajectory import to_trajectories
    from aiida_mlip_autopipec.oracle.prepare import prepare_oracle

    config = AseOracleConfig(
        calculator="tests.benchmarks.unequal:UnequalEMT",
        parameters={"url": f"file://{folder}", "seconds": list(seconds)},
        structures_per_job=1,
        max_concurrent_jobs=slots,
    )
    note = f"date +%s.%N > {folder}/job-$$"
    lines = f"export PYTHONPATH={ROOT} OMP_NUM_THREADS=1\n{note}-begun\ntrap '{note}-ended' EXIT"
    inputs = prepare_oracle(config, ResourcesConfig(cores=1, prepend_text=lines), ["Cu"])
    node = submit(process, structures=to_trajectories(structures), **inputs)
    while not node.is_terminated:
        time.sleep(0.5)
    if not node.is_finished_ok:
        raise SystemExit(f"the labelling failed: {node.exit_message}")
    return node


def intervals(folder: Path) -> list[tuple[float, float]]:
    """Return the begin and end (s) of the script of each job, by begin."""
    begun = {path.name.split("-")[1]: float(path.read_text()) for path in folder.glob("job-*-begun")}
    return sorted((time, float((folder / f"job-{name}-ended").read_text())) for name, time in begun.items())


def idle_times(jobs: list[tuple[float, float]], slots: int) -> list[float]:
    """Return for each job, except the first of each slot, the seconds for which its slot was free before."""
    free: list[float] = []
    idle = []
    for begun, ended in jobs:
        if len(free) >= slots:
            idle.append(begun - free.pop(0))
        free = sorted([*free, ended])
    return idle


def share(times: list[tuple[float, float]], begun: float, ended: float, slots: int) -> float:
    """Return which part of the slots was in use in a period."""
    used = sum(max(0.0, min(end, ended) - max(begin, begun)) for begin, end in times)
    return used / (slots * (ended - begun))


def measured(node: Any, slots: int, folder: Path) -> dict[str, Any]:
    """Return how busy the slots were."""
    jobs = intervals(folder)
    labels = [json.loads(path.read_text()) for path in folder.glob("label-*.json")]
    computing = [(label["begun"], label["ended"]) for label in labels]
    submitted_at, ended = node.ctime.timestamp(), max(end for _, end in jobs)
    costs = [end - begin for begin, end in computing]
    return {
        "oracle": node.process_label,
        "labels": len(labels),
        "slots": slots,
        "wall_s": ended - submitted_at,
        "shortest_s": min(costs),
        "longest_s": max(costs),
        "job_time_s": sum(end - begin for begin, end in jobs),
        "computing_time_s": sum(costs),
        "busy": share(jobs, jobs[0][0], jobs[-1][0], slots),
        "overall": share(jobs, submitted_at, ended, slots),
        "computing": share(computing, jobs[0][0], jobs[-1][0], slots),
        "first_job_s": jobs[0][0] - submitted_at,
        "idle_s": statistics.median(idle_times(jobs, slots)),
        "load": os.getloadavg()[0],
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Return the results as a table."""
    names = (
        "oracle",
        "slots",
        "labels",
        "wall (s)",
        "jobs (s)",
        "busy",
        "overall",
        "computing",
        "idle (s)",
        "daemon (s)",
    )
    lines = [f"{names[0]:22}" + "".join(f"{name:>11}" for name in names[1:])]
    for row in rows:
        lines.append(
            f"{row['oracle']:22}{row['slots']:>11}{row['labels']:>11}{row['wall_s']:>11.0f}{row['job_time_s']:>11.0f}"
            f"{row['busy']:>11.0%}{row['overall']:>11.0%}{row['computing']:>11.0%}{row['idle_s']:>11.1f}{row['daemon_s']:>11.2f}"
        )
    return "\n".join(lines)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--labels", type=int, default=40)
    parser.add_argument("--shortest", type=float, default=10.0, help="seconds of the cheapest label")
    parser.add_argument("--longest", type=float, default=120.0, help="seconds of the most expensive label")
    parser.add_argument("--only", choices=["slots", "rounds"], help="only one of the two oracles")
    arguments = parser.parse_args()
    structures, seconds = crystals(arguments.labels), (arguments.shortest, arguments.longest)
    # The daemon loads the oracle with rounds.
    os.environ["PYTHONPATH"] = str(ROOT)
    rows = []
    with temporary_profile():
        from aiida_mlip_autopipec.host.daemon import ensure_daemon
        from aiida_mlip_autopipec.oracle.ase import AseOracleWorkChain
        from tests.benchmarks.rounds import RoundsOracleWorkChain

        daemon = ensure_daemon()
        try:
            for name, process in (("slots", AseOracleWorkChain), ("rounds", RoundsOracleWorkChain)):
                if arguments.only in (None, name):
                    folder = Path(tempfile.mkdtemp())
                    before = processor_time_of(daemon)
                    node = submitted(process, structures, arguments.slots, seconds, folder)
                    used = processor_time_of(daemon) - before
                    rows.append(measured(node, arguments.slots, folder) | {"daemon_s": used / arguments.labels})
                    print(table(rows), file=sys.stderr, flush=True)
        finally:
            daemon.stop_daemon(wait=True, timeout=120)
    print(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
