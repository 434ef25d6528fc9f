"""Time and memory for a dataset of structures of 16 atoms: search for duplicates, storage, curation, reading.

    python -m tests.benchmarks.bench_dataset [--fingerprint 1000 10000] [--frames 10000]

Prints JSON. Of the search for duplicates: structures per second; half of the structures are rotated and translated copies.
Of storage: seconds and memory to store frames in AiiDA, to curate and to read them, and bytes per frame relative to the float64
arrays; for comparison, the same with an ASE database and with extended XYZ.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk
from scipy.spatial.transform import Rotation

from tests.benchmarks.profile import temporary_profile


def crystals(count: int, copies: bool) -> list[Atoms]:
    """Return labelled copper crystals of 16 atoms; with copies, every second one is a rotated and translated copy."""
    from aiida_mlip_autopipec.dataset.trajectory import attach_labels

    random = np.random.default_rng(0)
    cell = bulk("Cu", cubic=True) * (2, 2, 1)
    structures: list[Atoms] = []
    for number in range(count):
        if copies and number % 2:
            atoms = structures[-1].copy()
            turn = Rotation.random(random_state=number).as_matrix()
            atoms.set_cell(atoms.cell.array @ turn, scale_atoms=True)
            atoms.positions += random.normal(size=3)
        else:
            atoms = cell.copy()
            atoms.positions += random.normal(0.0, 0.1, atoms.positions.shape)
        labels = {"energy": random.normal(), "forces": random.normal(size=(16, 3)), "stress": random.normal(size=6)}
        structures.append(attach_labels(atoms, labels))
        atoms.info = {"family": "fcc"}
    return structures


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds of an action, and its result."""
    start = time.perf_counter()
    result = action()
    return time.perf_counter() - start, result


def bench_fingerprint(count: int) -> dict[str, float]:
    """Search for duplicates among a number of structures, half of which are copies."""
    from aiida_mlip_autopipec.dataset.duplicates import find_duplicates

    structures = crystals(count, copies=True)
    seconds, found = timed(lambda: find_duplicates(structures))
    return {
        "structures": count,
        "structures_per_s": count / seconds,
        "different": len(set(found.representative.tolist())),
        "expected": count - count // 2,
    }


def bench_storage(count: int, home: Path) -> dict[str, Any]:
    """Store, curate and read frames; for comparison, the same with files of ASE."""
    from ase.db import connect
    from ase.io import read, write

    from aiida_mlip_autopipec.config.schemas.curation import CurationConfig
    from aiida_mlip_autopipec.dataset.curate import curate
    from aiida_mlip_autopipec.dataset.library import load_dataset, store_dataset
    from aiida_mlip_autopipec.dataset.trajectory import all_frames

    structures = crystals(count, copies=False)
    raw = 8 * (16 * 3 + 9 + 1 + 16 * 3 + 6)
    before = _size(home)
    stored, _ = timed(lambda: store_dataset(structures, "many"))
    size = _size(home) - before
    curated, _ = timed(lambda: curate(structures, CurationConfig(), test_fraction=0.1, seed=1))
    back, frames = timed(lambda: all_frames(load_dataset("many")))
    assert len(frames) == count
    report: dict[str, Any] = {
        "frames": count,
        "aiida": {
            "store_s": stored,
            "curate_s": curated,
            "read_s": back,
            "bytes_per_frame": size / count,
            "over_raw": size / count / raw,
            "peak_memory_MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        },
    }
    database, text = home / "frames.db", home / "frames.extxyz"

    def fill() -> None:
        with connect(database, append=False) as connection:
            for atoms in structures:
                connection.write(atoms)

    for name, path, put, get in (
        ("ase.db", database, fill, lambda: [row.toatoms() for row in connect(database).select()]),
        ("extxyz", text, lambda: write(text, structures), lambda: read(text, ":")),
    ):
        stored, _ = timed(put)
        back, _ = timed(get)
        size = path.stat().st_size
        report[name] = {
            "store_s": stored,
            "read_s": back,
            "bytes_per_frame": size / count,
            "over_raw": size / count / raw,
        }
    return report


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fingerprint", type=int, nargs="*", default=[1_000, 10_000])
    parser.add_argument("--frames", type=int, default=10_000, help="frames to store; 0 for none")
    arguments = parser.parse_args()
    with temporary_profile() as home:
        report: dict[str, Any] = {"fingerprint": [bench_fingerprint(count) for count in arguments.fingerprint]}
        if arguments.frames:
            report["storage"] = bench_storage(arguments.frames, Path(home))
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
