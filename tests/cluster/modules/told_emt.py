"""Effective medium theory that keeps a record of what it computes, and can be told to do harm."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

from ase.calculators.emt import EMT

RECORD, HOLD, EAT = "computed", "hold", "eat"
FREE = 2
"""Structures of a job that are computed whatever is told."""


class ToldEMT(EMT):
    """EMT with a folder, in which it writes a line for each structure that it has computed, and finds orders.

    While there is a file `hold` it waits before a structure; who finds a file `eat` takes ever more memory.
    """

    def __init__(self, folder: str, **parameters: Any) -> None:
        super().__init__(**parameters)
        self._folder = Path(folder)
        self._computed = 0

    def calculate(self, *arguments: Any, **options: Any) -> None:
        """Compute, but heed the orders first."""
        if self._computed >= FREE:
            self._obey()
        super().calculate(*arguments, **options)
        self._computed += 1
        name = hashlib.sha256(self.atoms.positions.tobytes() + self.atoms.cell.array.tobytes()).hexdigest()
        with (self._folder / RECORD).open("a") as record:
            record.write(f"{name}\n")

    def _obey(self) -> None:
        while (self._folder / HOLD).exists():
            time.sleep(0.05)
        try:
            # Only one can take it.
            (self._folder / EAT).rename(self._folder / "eaten")
        except FileNotFoundError:
            return
        eaten = []
        while True:
            eaten.append(bytearray(20_000_000))
            time.sleep(0.02)
