"""The results of finished samplers, kept in the working folder for a restarted job."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.io.trajectory import Trajectory
from mlip_common.atomic import atomic_write
from mlip_common.errors import log

from .run import SamplerResult

FINISHED = Path("finished")
_KEY = "key"

ATTEMPTS = 3
"""After this many killed jobs a sampler that ran in each of them counts as failed: it may be the cause."""


class Store:
    """A folder with the record and the frames of each finished sampler.

    :param inputs: input files of the job; results from other inputs are discarded.
    """

    def __init__(self, inputs: Iterable[Path]) -> None:
        digest = hashlib.sha256()
        for path in inputs:
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        self._digest = digest.hexdigest()

    def open(self, previous: Path | None) -> None:
        """Prepare the folder, with the results of an earlier job if there are any."""
        if self._has_same_inputs(FINISHED):
            return
        shutil.rmtree(FINISHED, ignore_errors=True)
        if previous is not None and self._has_same_inputs(previous / FINISHED):
            shutil.copytree(previous / FINISHED, FINISHED)
            log(f"restarting from {previous / FINISHED}")
            return
        FINISHED.mkdir()
        (FINISHED / _KEY).write_text(self._digest)

    def _has_same_inputs(self, folder: Path) -> bool:
        key = folder / _KEY
        return key.is_file() and key.read_text() == self._digest

    def interruptions(self, number: int) -> int:
        """Return how often a sampler was started without finishing."""
        mark = _path(number, "begun")
        return mark.stat().st_size if mark.exists() else 0

    def mark_start(self, number: int) -> None:
        """Record that a sampler starts, by one more character in a file."""
        _path(number, "begun").write_text("+" * (self.interruptions(number) + 1))

    def forget_start(self, number: int) -> None:
        """Delete the record of starts of a sampler that the deadline stopped."""
        _path(number, "begun").unlink(missing_ok=True)

    def add(self, result: SamplerResult) -> dict[str, Any]:
        """Write a result to the folder, and return its record."""
        number, record = result.sampler.number, result.record()
        if result.frames:
            with atomic_write(_path(number, "traj")) as temporary, Trajectory(str(temporary), "w") as file:
                for atoms in result.frames:
                    file.write(atoms)
        with atomic_write(_path(number, "json")) as temporary:
            temporary.write_text(json.dumps(record))
        return record

    def finished(self) -> set[int]:
        """Return the numbers of the finished samplers."""
        return {int(path.stem) for path in FINISHED.glob("*.json")}

    def records(self) -> list[dict[str, Any]]:
        """Return the records of all finished samplers, by number."""
        return [json.loads(path.read_text()) for path in sorted(FINISHED.glob("*.json"))]

    def frames(self) -> list[Atoms]:
        """Return the saved frames of all finished samplers, by number."""
        frames: list[Atoms] = []
        for record in self.records():
            if record["handed_in"]:
                with Trajectory(str(_path(record["walker"], "traj"))) as file:
                    frames += list(file)
        return frames

    def clear(self) -> None:
        """Remove the folder."""
        shutil.rmtree(FINISHED, ignore_errors=True)


def _path(number: int, ending: str) -> Path:
    return FINISHED / f"{number:06d}.{ending}"
