"""Runs that are held at a chosen moment, and counted to the last structure: what tests of faults share."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from .cluster.modules.told_emt import HOLD, RECORD

HOLD_FIT = "hold_fit"
"""Order to wait before the fit."""


def held_config(folder: Path, structures: int, per_job: int, **resources: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration of a small run that obeys the orders in a folder.

    Its labels are of a method of its own, so that no other run has them.

    :param structures: how many structures it labels.
    :param per_job: how many of them a job labels.
    :param resources: settings of `resources`, by stage.
    """
    wait = f"while [ -e {folder}/{HOLD_FIT} ]; do sleep 0.1; done"
    return {
        "elements": ["Cu"],
        "generator": {"count": structures, "max_atoms": 4},
        "selection": "none",
        "oracle": {
            "calculator": "told_emt.ToldEMT",
            "parameters": {"folder": str(folder)},
            "structures_per_job": per_job,
        },
        "training": {"n_functions": 8, "cutoff": 4.5, "order": 2, "test_fraction": 0.2},
        "resources": {**resources, "trainer": {**resources.get("trainer", {}), "prepend_text": wait}},
    }


class HeldRun:
    """A run with a folder for orders, in which its jobs record what they compute."""

    folder: Path

    def order(self, what: str) -> None:
        """Give the jobs an order, see `told_emt`."""
        (self.folder / what).touch()

    def release(self) -> None:
        """Take the orders back."""
        for name in (HOLD, HOLD_FIT):
            (self.folder / name).unlink(missing_ok=True)

    def computed(self) -> Counter[str]:
        """Return how often each structure was computed."""
        record = self.folder / RECORD
        return Counter(record.read_text().split()) if record.exists() else Counter()
