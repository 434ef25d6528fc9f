"""Time and memory of `mlip-auto train` on a large dataset of several elements, with default settings.

    python -m tests.benchmarks.bench_large [--elements Ag Cu Ni Pd] [--structures 5000] [--file FILE]

The structures are generated, labelled by effective medium theory and written to an extended XYZ file, which `--file` keeps and
reuses. The command then reads, curates and fits them in a new profile. Prints its log, and JSON: wall time of the command and
of the fit, processor time, peak memory and errors.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from ase.io import iread, write

from aiida_mlip_autopipec.config.schemas.generator import GeneratorConfig
from aiida_mlip_autopipec.generator.structure import StructureGenerator
from tests.benchmarks.bench_mlearn import processor_time
from tests.benchmarks.broad_copper import label_by_emt
from tests.benchmarks.profile import temporary_profile


def write_dataset(elements: Sequence[str], count: int, path: Path) -> None:
    """Write labelled structures of the default settings of the generator."""
    write(path, [label_by_emt(atoms) for atoms in StructureGenerator(GeneratorConfig()).generate(elements, count)])


def measure(path: Path, out: Path) -> dict[str, object]:
    """Train on a file in a new profile; return the cost and the errors."""
    with temporary_profile():
        from aiida_mlip_autopipec.host.daemon import ensure_daemon

        daemon = ensure_daemon()
        try:
            start = time.perf_counter()
            program = Path(sys.executable).with_name("mlip-auto")
            subprocess.run([program, "train", path, "--output", out], check=True)
            seconds = time.perf_counter() - start
            client = processor_time()
        finally:
            daemon.stop_daemon(wait=True)
    metrics = json.loads((out / "metrics.json").read_text())
    facts = ("n_functions", "cutoff_A", "wall_time_s", "cpu_time_s", "peak_memory_MB", "test")
    return {
        "command_wall_time_s": seconds,
        "command_processor_time_s": client,
        **{key: metrics[key] for key in facts},
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
        facts = measure(path, Path(name) / "potential")
        print(json.dumps({"structures": len(sizes), "atoms": sum(sizes), **facts}, indent=1))


if __name__ == "__main__":
    main()
