"""Runs of the program `label_structures` in a separate process."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from ase import Atoms
from ase.io.trajectory import Trajectory

from ..warm_python import run_warm

SCRIPT = str(files("aiida_mlip_autopipec") / "jobs" / "label_structures")
FAULTY = "tests.oracle.faulty:FaultyEMT"
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Labelling:
    """A finished run of the program."""

    status: int
    labels: dict[int, dict[str, Any]]
    failures: dict[int, dict[str, Any]]
    summary: dict[str, Any]


def read_labelling(folder: Path, status: int) -> Labelling:
    labels = {}
    if (folder / "labels.traj").exists():
        with Trajectory(str(folder / "labels.traj")) as frames:
            labels = {atoms.info["index"]: dict(atoms.calc.results) for atoms in frames}
    failures_file, summary_file = folder / "failures.jsonl", folder / "summary.json"
    lines = failures_file.read_text().splitlines() if failures_file.exists() else []
    failures = {record["index"]: record for record in map(json.loads, lines)}
    summary = json.loads(summary_file.read_text()) if summary_file.exists() else {}
    return Labelling(status, labels, failures, summary)


def label_command(
    folder: Path, structures: Sequence[Atoms], calculator: str, parameters: dict[str, Any] | None = None
) -> list[str]:
    """Write the input files of the program; return its command line."""
    with Trajectory(str(folder / "structures.traj"), "w") as frames:
        for atoms in structures:
            frames.write(atoms)
    (folder / "method.json").write_text(json.dumps({"calculator": calculator, "parameters": parameters or {}}))
    return [sys.executable, SCRIPT, "structures.traj", "method.json"]


def dimers(dimer: Atoms, count: int) -> list[Atoms]:
    """Return dimers of different lengths, as a calculator caches the result of an unchanged structure."""
    structures = [dimer.copy() for _ in range(count)]
    for number, atoms in enumerate(structures):
        atoms.set_distance(0, 1, 2.2 + 0.1 * number)
    return structures


@pytest.fixture
def label(tmp_path: Path) -> Callable[..., Labelling]:
    """Run the program on structures in a separate folder, where the faulty calculators can be imported."""

    def run(
        structures: Sequence[Atoms], calculator: str = "emt", *options: str, parameters: dict[str, Any] | None = None
    ) -> Labelling:
        _, script, *arguments = label_command(tmp_path, structures, calculator, parameters)
        done = run_warm(script, [*arguments, *options], tmp_path, ROOT)
        return read_labelling(tmp_path, done.returncode)

    return run
