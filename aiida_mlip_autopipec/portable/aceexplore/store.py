"""The ways that are finished, kept in the working folder as they end, so that another job goes on from there."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from acecommon.errors import log
from acecommon.whole import whole
from ase import Atoms
from ase.io.trajectory import Trajectory

from .walk import Way

FINISHED = Path("finished")
_KEY = "key"

ATTEMPTS = 3
"""A walker in whose time so many jobs were killed is given up: it may be what kills them."""


class Store:
    """A folder with a record and the frames of each finished walker.

    :param inputs: the files of the job; what was finished with other ones does not count.
    """

    def __init__(self, inputs: Iterable[Path]) -> None:
        digest = hashlib.sha256()
        for path in inputs:
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        self._digest = digest.hexdigest()

    def open(self, previous: Path | None) -> None:
        """Make the folder ready, with what an earlier job left in its own."""
        if self._is_ours(FINISHED):
            return
        shutil.rmtree(FINISHED, ignore_errors=True)
        if previous is not None and self._is_ours(previous / FINISHED):
            shutil.copytree(previous / FINISHED, FINISHED)
            log(f"going on from {previous / FINISHED}")
            return
        FINISHED.mkdir()
        (FINISHED / _KEY).write_text(self._digest)

    def _is_ours(self, folder: Path) -> bool:
        key = folder / _KEY
        return key.is_file() and key.read_text() == self._digest

    def begun(self, number: int) -> int:
        """Return how often a walker has set out and not come to an end."""
        mark = _path(number, "begun")
        return mark.stat().st_size if mark.exists() else 0

    def begin(self, number: int) -> None:
        """Note that a walker sets out."""
        _path(number, "begun").write_text("+" * (self.begun(number) + 1))

    def leave(self, number: int) -> None:
        """Note that a walker did not get to its end, for no fault of its own."""
        _path(number, "begun").unlink(missing_ok=True)

    def add(self, way: Way) -> dict[str, Any]:
        """Keep a way, and return its record."""
        number, record = way.walker.number, way.record()
        if way.frames:
            with whole(_path(number, "traj")) as beside, Trajectory(str(beside), "w") as file:
                for atoms in way.frames:
                    file.write(atoms)
        with whole(_path(number, "json")) as beside:
            beside.write_text(json.dumps(record))
        return record

    def finished(self) -> set[int]:
        """Return the numbers of the walkers that have come to their end."""
        return {int(path.stem) for path in FINISHED.glob("*.json")}

    def records(self) -> list[dict[str, Any]]:
        """Return the records, by number."""
        return [json.loads(path.read_text()) for path in sorted(FINISHED.glob("*.json"))]

    def frames(self) -> list[Atoms]:
        """Return the frames of all walkers, by number."""
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
