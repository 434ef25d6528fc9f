"""A calculator of very unequal cost that needs no processor, for `bench_slots`."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from ase.calculators.emt import EMT

SMALLEST, LARGEST = 3.4, 3.8
"""Lattice constants (Å) of the cheapest and of the most expensive crystal."""


class UnequalEMT(EMT):
    """EMT that waits for a time that grows with the lattice constant of a cubic crystal, and writes when it began and ended.

    :param url: URL of a folder for the times. Not a path, since the content of files given by path belongs to the identity of a
        label.
    :param seconds: of the cheapest and of the most expensive crystal; exponential between them.
    """

    def __init__(self, url: str, seconds: tuple[float, float], **parameters: Any) -> None:
        super().__init__(**parameters)
        self._folder, self._seconds = Path(url.removeprefix("file://")), seconds

    def calculate(self, *arguments: Any, **named: Any) -> None:
        """Wait and compute."""
        begun = time.time()
        super().calculate(*arguments, **named)
        shortest, longest = self._seconds
        part = (self.atoms.cell.cellpar()[0] - SMALLEST) / (LARGEST - SMALLEST)
        time.sleep(shortest * (longest / shortest) ** part)
        times = {"begun": begun, "ended": time.time()}
        (self._folder / f"label-{os.getpid()}.json").write_text(json.dumps(times))
