"""Effective medium theory that records each computed structure, and waits or exhausts the memory if a control file exists."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

from ase.calculators.emt import EMT

RECORD, HOLD, EXHAUST_MEMORY = "computed", "hold", "exhaust_memory"
N_BEFORE_CONTROL = 2
"""Number of structures that a job computes before it reads the control files."""


class ControlledEMT(EMT):
    """EMT with a folder: it writes a line for each computed structure, and reads control files there.

    While the file `hold` exists, it waits before the next structure; the first job that finds the file `exhaust_memory` takes
    more and more memory.
    """

    def __init__(self, folder: str, **parameters: Any) -> None:
        super().__init__(**parameters)
        self._folder = Path(folder)
        self._computed = 0

    def calculate(self, *arguments: Any, **options: Any) -> None:
        """Read the control files, then compute."""
        if self._computed >= N_BEFORE_CONTROL:
            self._wait_or_exhaust_memory()
        super().calculate(*arguments, **options)
        self._computed += 1
        name = hashlib.sha256(self.atoms.positions.tobytes() + self.atoms.cell.array.tobytes()).hexdigest()
        with (self._folder / RECORD).open("a") as record:
            record.write(f"{name}\n")

    def _wait_or_exhaust_memory(self) -> None:
        while (self._folder / HOLD).exists():
            time.sleep(0.05)
        try:
            # Only one job can rename the file.
            (self._folder / EXHAUST_MEMORY).rename(self._folder / "memory_exhausted")
        except FileNotFoundError:
            return
        memory = []
        while True:
            memory.append(bytearray(20_000_000))
            time.sleep(0.02)
