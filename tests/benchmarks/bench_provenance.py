"""Time of the queries of provenance in a large profile.

    python -m tests.benchmarks.bench_provenance [--jobs 30000] [--runs 1] [--postgres]

Prints JSON. A fresh profile, on SQLite or on PostgreSQL, is filled in bulk with the nodes and links of runs: each job labels
a trajectory of its own and has its report (so about 100,000 nodes for 30,000 jobs), divided among `--runs` runs with a
potential each. Then: seconds of each query of `aiida_mlip_autopipec.provenance.queries`. PostgreSQL first analyses its new
tables, which it would do by itself within minutes.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from tests.benchmarks.profile import temporary_profile

DATA = "data.core."
TRAJECTORY, DICT, FILE = (
    f"{DATA}array.trajectory.TrajectoryData.",
    f"{DATA}dict.Dict.",
    f"{DATA}singlefile.SinglefileData.",
)
JOB, FUNCTION = "process.calculation.calcjob.CalcJobNode.", "process.calculation.calcfunction.CalcFunctionNode."


def fill(jobs: int) -> tuple[int, int]:
    """Insert the run; return the PKs of its potential and of one job."""
    from aiida import orm
    from aiida.manage import get_manager
    from aiida.orm.entities import EntityTypes
    from sqlalchemy import text

    from aiida_mlip_autopipec.host.computers import ensure_computer
    from aiida_mlip_autopipec.programs.codes import ensure_code

    backend = get_manager().get_profile_storage()
    user, computer = orm.User.collection.get_default().pk, ensure_computer("localhost").pk
    code = ensure_code("label_structures").pk

    def nodes(count: int, node_type: str, attributes: dict[str, Any], computer: int | None = None) -> list[int]:
        row = {"node_type": node_type, "attributes": attributes, "user_id": user}
        if computer is not None:
            row["dbcomputer_id"] = computer
        return backend.bulk_insert(EntityTypes.NODE, [dict(row) for _ in range(count)], allow_defaults=True)

    links: list[dict[str, Any]] = []

    def link(source: int, target: int, label: str, kind: str) -> None:
        links.append({"input_id": source, "output_id": target, "label": label, "type": kind})

    (generate,) = nodes(1, FUNCTION, {"process_label": "generate_structures"})
    steps = {"array|steps": [10], "symbols": ["Cu"]}
    structures = nodes(jobs // 10 or 1, TRAJECTORY, steps)
    for number, node in enumerate(structures):
        link(generate, node, f"s{number}", "create")
    (method,) = nodes(1, DICT, {"calculator": "emt"})
    calculations = nodes(jobs, JOB, {"process_label": "AseLabelCalculation"}, computer)
    labelled, reports = nodes(jobs, TRAJECTORY, steps), nodes(jobs, DICT, {"asked": 1})
    (curate,) = nodes(1, FUNCTION, {"process_label": "curate_labels"})
    for number, job in enumerate(calculations):
        link(structures[number % len(structures)], job, "structures__Cu", "input_calc")
        link(method, job, "method", "input_calc")
        link(code, job, "code", "input_calc")
        link(job, labelled[number], "labelled__Cu", "create")
        link(job, reports[number], "report", "create")
        link(labelled[number], curate, f"l{number}", "input_calc")
    (dataset,) = nodes(1, TRAJECTORY, steps)
    (fit,) = nodes(1, JOB, {"process_label": "ShellJob<pace_train@localhost>"}, computer)
    (potential,) = nodes(1, FILE, {"filename": "potential.yace"})
    (metrics,) = nodes(1, DICT, {"elements": ["Cu"], "n_functions": 100, "test": None})
    link(curate, dataset, "dataset", "create")
    link(dataset, fit, "dataset", "input_calc")
    link(fit, potential, "potential_yace", "create")
    link(fit, metrics, "metrics", "create")
    backend.bulk_insert(EntityTypes.LINK, links, allow_defaults=True)
    backend.get_session().execute(text("ANALYZE"))
    return potential, calculations[0]


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=30_000)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--postgres", action="store_true")
    arguments = parser.parse_args()
    with temporary_profile(on_postgres=arguments.postgres):
        from aiida import orm

        from aiida_mlip_autopipec.provenance.queries import (
            dependent_potentials,
            differences,
            find_potentials,
            trace,
        )

        filled = [fill(arguments.jobs // arguments.runs) for _ in range(arguments.runs)]
        potential, job = (orm.load_node(pk) for pk in filled[0])
        other = orm.load_node(filled[-1][0])
        report: dict[str, Any] = {"nodes": orm.QueryBuilder().append(orm.Node).count(), "seconds": {}}
        for name, question in (
            ("trace", lambda: trace(potential)),
            ("touched", lambda: dependent_potentials(job)),
            ("list", find_potentials),
            ("compare", lambda: differences(potential, other)),
        ):
            start = time.perf_counter()
            answer = question()
            report["seconds"][name] = time.perf_counter() - start
            if name == "trace":
                report["jobs_found"] = sum(process.count for process in answer.processes)
            if name == "touched":
                assert [found.pk for found in answer] == [potential.pk]
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
