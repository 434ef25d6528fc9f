"""The files with the results of structures."""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path

from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io.trajectory import Trajectory
from mlip_common.deadline import Deadline
from mlip_common.errors import log

from .outcome import Outcome

LABELS_FILE, FAILURES_FILE = Path("labels.traj"), Path("failures.jsonl")

DISK_SECONDS = 600.0
"""Longest wait (s) for space on a full disk."""

MIN_FREE_BYTES = 2**20
"""A disk with less free space counts as full."""

POLL_SECONDS = 1.0
"""Time (s) between two checks while waiting."""


def wait_for_space(deadline: Deadline) -> None:
    """Wait while the disk is full, at most :data:`DISK_SECONDS`: a label that cannot be written is lost."""
    until = time.monotonic() + min(DISK_SECONDS, deadline.remaining())
    while time.monotonic() < until:
        disk = os.statvfs(".")
        # Some network file systems report no sizes.
        if not disk.f_blocks or disk.f_bavail * disk.f_frsize >= MIN_FREE_BYTES:
            return
        time.sleep(POLL_SECONDS)


class Records:
    """The files of finished structures; each result is appended immediately."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self.labelled = self._read_labels()
        self.failed = self._read_failures()

    @staticmethod
    def _read_labels() -> set[int]:
        # A job that was killed, or whose disk was full, when it created the file has left it empty.
        if not LABELS_FILE.exists() or not LABELS_FILE.stat().st_size:
            return set()
        with Trajectory(str(LABELS_FILE)) as frames:
            return {atoms.info["index"] for atoms in frames}

    @staticmethod
    def _read_failures() -> set[int]:
        failed = set()
        if FAILURES_FILE.exists():
            for line in FAILURES_FILE.read_text().splitlines():
                with contextlib.suppress(ValueError):
                    failed.add(json.loads(line)["index"])
        return failed

    def add(self, index: int, atoms: Atoms, outcome: Outcome) -> None:
        """Record the result of a structure."""
        wait_for_space(self._deadline)
        if outcome.failure:
            self.failed.add(index)
            with FAILURES_FILE.open("a") as handle:
                record = {"index": index, "kind": outcome.failure, "reason": outcome.reason}
                handle.write(json.dumps(record) + "\n")
            log(f"structure {index} ({atoms.get_chemical_formula()}): {outcome.failure}: {outcome.reason}")
            return
        self.labelled.add(index)
        log(f"structure {index} ({atoms.get_chemical_formula()}): labelled")
        frame = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc, info={"index": index})
        frame.calc = SinglePointCalculator(frame, **outcome.labels)
        with Trajectory(str(LABELS_FILE), "a") as frames:
            frames.write(frame)
