"""Effective medium theory that takes its time."""

from __future__ import annotations

import time
from typing import Any

from ase.calculators.emt import EMT


class SlowEMT(EMT):
    """EMT that takes a second more."""

    def calculate(self, *arguments: Any, **options: Any) -> None:
        time.sleep(1)
        super().calculate(*arguments, **options)
