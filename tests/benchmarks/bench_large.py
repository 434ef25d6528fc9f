"""Time and memory of `mlip-auto train` on a large dataset of several elements, with default settings.

    python -m tests.benchmarks.bench_large [--elements Ag Cu Ni Pd] [--structures 5000] [--file FILE]

The structures are generated, labelled by effective medium theory and written to an extended XYZ file, which `--file` keeps and
reuses. The command then reads, curates and fits them in a new profile. Prints its log, and JSON: wall time of the command and
of the fit, processor time, peak memory and errors.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from ase.io import iread, write

from aiida_mlip_autopipec.config.schemas.generator import GeneratorConfig
from aiida_mlip_autopipec.generator.structure import StructureGenerator
from tests.benchmarks.broad_copper import label_by_emt


def write_dataset(elements: Sequence[str], count: int, path: Path) -> None:
    """Write labelled structures of the default settings of the generator."""
    write(path, [label_by_emt(atoms) for atoms in StructureGenerator(GeneratorConfig()).generate(elements, count)])


def measure(path: Path, home: Path) -> dict[str, object]:
    """Train on a file in a new profile; return the cost and the errors."""
    environment = {**os.environ, "AIIDA_PATH": str(home)}
    start = time.perf_counter()
    out = home / "potential"
    command = [sys.executable, "-m", "aiida_mlip_autopipec.app", "train", str(path), "--output", str(out)]
    subprocess.run(command, env=environment, check=True)
    seconds = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    metrics = json.loads(next(out.rglob("metrics.json")).read_text())
    return {
        "command_wall_time_s": seconds,
        "processor_time_s": used.ru_utime + used.ru_stime,
        "largest_process_MB": used.ru_maxrss / 1024,
        **{
            key: metrics[key]
            for key in ("n_functions", "cutoff_A", "wall_time_s", "cpu_time_s", "peak_memory_MB", "test")
        },
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--elements", nargs="+", default=["Ag", "Cu", "Ni", "Pd"])
    parser.add_argument("--structures", type=int, default=5000)
    parser.add_argument("--file", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        path = arguments.file or Path(name) / "data.xyz"
        if not path.exists():
            write_dataset(arguments.elements, arguments.structures, path)
        sizes = [len(atoms) for atoms in iread(path, ":")]
        facts = measure(path.resolve(), Path(name))
        print(json.dumps({"structures": len(sizes), "atoms": sum(sizes), **facts}, indent=1))


if __name__ == "__main__":
    main()
