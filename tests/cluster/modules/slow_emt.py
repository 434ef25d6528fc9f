"""Effective medium theory that takes some seconds for each structure."""

from __future__ import annotations

import time
from typing import Any

from ase.calculators.emt import EMT


class SlowEMT(EMT):
    """EMT that waits some seconds before it computes."""

    def __init__(self, seconds: float = 1.0, **parameters: Any) -> None:
        super().__init__(**parameters)
        self._seconds = seconds

    def calculate(self, *arguments: Any, **options: Any) -> None:
        time.sleep(self._seconds)
        super().calculate(*arguments, **options)
