"""How long it takes to find the labels of structures among many that are stored.

    python -m tests.benchmarks.bench_reuse [--stored 100000] [--wanted 1000] [--per-node 100]

Prints JSON: the seconds of `find_labels` on a fresh SQLite profile, and the bytes of the database for each stored frame. Every
tenth wanted structure is a new one.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk

from tests.benchmarks.profile import temporary_profile


def variants(count: int, first: int) -> list[Atoms]:
    """Return different labelled crystals of 4, 8 or 16 atoms."""
    from aiida_mlip_autopipec.dataset.trajectory import attach_labels

    cells = [bulk("Cu", cubic=True) * repeat for repeat in ((1, 1, 1), (2, 1, 1), (2, 2, 1))]
    structures = []
    for number in range(first, first + count):
        random = np.random.default_rng(number)
        atoms = cells[number % 3].copy()
        atoms.positions += random.normal(0.0, 0.05, atoms.positions.shape)
        atoms.info["calculation"] = "00000000-0000-0000-0000-000000000000"
        structures.append(
            attach_labels(atoms, {"energy": random.normal(), "forces": random.normal(size=atoms.positions.shape)})
        )
    return structures


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stored", type=int, default=100_000)
    parser.add_argument("--wanted", type=int, default=1_000)
    parser.add_argument("--per-node", type=int, default=100, help="structures labelled by one job")
    arguments = parser.parse_args()
    with temporary_profile() as home:
        from aiida_mlip_autopipec.dataset.identity import method_id
        from aiida_mlip_autopipec.dataset.trajectory import to_trajectories
        from aiida_mlip_autopipec.oracle.reuse import find_labels, structure_keys

        method = {"type": "ase", "calculator": "emt", "parameters": {}}
        start = time.perf_counter()
        for first in range(0, arguments.stored, arguments.per_node):
            frames = variants(min(arguments.per_node, arguments.stored - first), first)
            for node in to_trajectories(frames, method, reusable=True).values():
                node.store()
        stored = time.perf_counter() - start
        known = arguments.wanted * 9 // 10
        numbers = np.linspace(0, arguments.stored - 1, known, dtype=int).tolist()
        wanted = [atoms for number in numbers for atoms in variants(1, number)]
        wanted += variants(arguments.wanted - known, arguments.stored)
        asked = to_trajectories(wanted)
        for node in asked.values():
            node.store()
        start = time.perf_counter()
        found = find_labels(structure_keys(asked), method_id(method))
        seconds = time.perf_counter() - start
        database = sum(path.stat().st_size for path in Path(home).rglob("database.sqlite*"))
        report = {
            "stored": arguments.stored,
            "wanted": len(wanted),
            "found": sum(len(pairs) for matches in found.values() for pairs in matches.values()),
            "expected": known,
            "seconds": seconds,
            "storing_s": stored,
            "database_bytes_per_frame": database / arguments.stored,
        }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
