"""Runs that wait at a chosen moment and record each computed structure, for the tests of faults."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from .cluster.modules.controlled_emt import HOLD, RECORD

HOLD_FIT = "hold_fit"
"""Name of the control file that lets the job of the fit wait."""


def held_config(folder: Path, structures: int, per_job: int, **resources: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration of a small run that the control files in a folder hold.

    Its calculator has the folder as parameter, so that its labels are not those of another run.

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
            "calculator": "controlled_emt.ControlledEMT",
            "parameters": {"folder": str(folder)},
            "structures_per_job": per_job,
        },
        "training": {"n_functions": 8, "cutoff": 4.5, "order": 2, "test_fraction": 0.2},
        "resources": {**resources, "trainer": {**resources.get("trainer", {}), "prepend_text": wait}},
    }


class HeldRun:
    """A run with a folder for control files, in which its jobs record the computed structures."""

    folder: Path

    def set_control(self, what: str) -> None:
        """Create a control file, see `controlled_emt`."""
        (self.folder / what).touch()

    def release(self) -> None:
        """Delete the control files that hold the run."""
        for name in (HOLD, HOLD_FIT):
            (self.folder / name).unlink(missing_ok=True)

    def computed(self) -> Counter[str]:
        """Return how often each structure was computed."""
        record = self.folder / RECORD
        return Counter(record.read_text().split()) if record.exists() else Counter()
