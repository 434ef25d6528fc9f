"""How large the report is, and how long it takes, for many structures.

    python -m tests.benchmarks.bench_report [--structures 10000]

Prints JSON. A fit to that many labelled structures, of generated kinds and sizes and each labelled by a calculation of its own,
is stored in a fresh SQLite profile; then: seconds to collect the data of the report and to write the page, and its size.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from uuid import uuid4

from tests.benchmarks.profile import temporary_profile


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--structures", type=int, default=10_000)
    parser.add_argument("--file", type=Path, help="keep the page here")
    arguments = parser.parse_args()
    with temporary_profile():
        from aiida_mlip_autopipec.config.schemas.generator import GeneratorConfig
        from aiida_mlip_autopipec.generator.structure import StructureGenerator
        from aiida_mlip_autopipec.report.collect import collect
        from aiida_mlip_autopipec.report.page import render
        from tests.conftest import label_by_emt
        from tests.report.stored import store_fit

        frames = []
        for index, atoms in enumerate(
            StructureGenerator(GeneratorConfig()).generate(["Al", "Cu"], arguments.structures)
        ):
            labelled = label_by_emt(atoms)
            labelled.info = {
                "family": atoms.info["family"],
                "split": "test" if index % 10 == 9 else "train",
                "calculation": str(uuid4()),
                "source_uuid": str(uuid4()),
                "source_step": index,
            }
            frames.append(labelled)
        potential = store_fit(frames)
        start = time.perf_counter()
        subject = collect(potential)
        collected = time.perf_counter()
        page = render(subject)
        ended = time.perf_counter()
    if arguments.file:
        arguments.file.write_text(page, encoding="utf-8")
    print(
        json.dumps(
            {
                "structures": len(frames),
                "atoms": sum(len(atoms) for atoms in frames),
                "kinds": len(subject.structures.kind_names),
                "seconds_to_collect": round(collected - start, 2),
                "seconds_to_render": round(ended - collected, 2),
                "megabytes": round(len(page.encode()) / 1e6, 2),
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
