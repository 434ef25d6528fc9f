"""What a fit keeps in its working folder: for memory's sake, and for the next one to go on from if this one is ended."""

from __future__ import annotations

import os
import shutil
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from acecommon.errors import log
from acecommon.whole import whole

FACTORS = Path("factors")
"""Folder of the reduced design matrix: the factors of the folds that are done, and those of the one at work."""

SECONDS = 120.0
"""Time between two states of the fold at work."""

NONLINEAR = Path("nonlinear")
"""Folder of the nonlinear fit, with its interim potential."""

PARTS = ("energy", "forces", "virial")
"""Factors of a fold."""

FORMAT = 2
"""Of the files of a reduction."""

_KEY, _AT_WORK = "key", "at_work.npz"


def take_over(previous: Path) -> None:
    """Copy what an earlier fit left in its folder, if anything, to the working folder."""
    for folder in (FACTORS, NONLINEAR):
        if (previous / folder).is_dir() and not folder.exists():
            with whole(folder) as beside:
                shutil.rmtree(beside, ignore_errors=True)
                shutil.copytree(previous / folder, beside)
            log(f"going on from {previous / folder}")


def clear() -> None:
    """Remove what a fit that is done would have left."""
    for folder in (FACTORS, NONLINEAR):
        shutil.rmtree(folder, ignore_errors=True)


class Checkpoint:
    """The state of a reduction in files, so that a job that was ended goes on where it was.

    :param key: of the very problem: what is there of another one is removed.
    """

    def __init__(self, key: str) -> None:
        self._written = time.monotonic()
        self._finished: list[int] = []
        path = FACTORS / _KEY
        if path.is_file() and path.read_text() == key:
            return
        shutil.rmtree(FACTORS, ignore_errors=True)
        FACTORS.mkdir()
        with whole(path) as beside:
            beside.write_text(key)

    def load(self) -> tuple[int, list[np.ndarray]] | None:
        """Return the number of chunks done, and the factors of the fold at work; None if nothing is done, or is not whole."""
        try:
            with np.load(FACTORS / _AT_WORK, allow_pickle=False) as arrays:
                finished = arrays["finished"].tolist()
                found = int(arrays["done"]), [arrays[part] for part in PARTS]
            for fold in finished:
                for part in PARTS:
                    self.factor(fold, part)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None
        self._finished = finished
        return found

    def save(self, done: int, factors: Sequence[np.ndarray], now: bool = False) -> None:
        """Write the state of the fold at work, if the last one is old or `now`."""
        if not now and time.monotonic() - self._written < SECONDS:
            return
        with whole(FACTORS / _AT_WORK) as beside, beside.open("wb") as handle:
            arrays: dict[str, Any] = {"done": done, "finished": np.array(self._finished, dtype=int)}
            arrays |= dict(zip(PARTS, factors, strict=True))
            np.savez(handle, **arrays)
        self._written = time.monotonic()

    def finish(self, fold: int, factors: Sequence[np.ndarray]) -> None:
        """Write the factors of a fold that is done."""
        for part, array in zip(PARTS, factors, strict=True):
            with whole(_path(fold, part)) as beside, beside.open("wb") as handle:
                np.save(handle, array)
                handle.flush()
                os.fsync(handle.fileno())
        self._finished.append(fold)

    def factor(self, fold: int, part: str) -> np.ndarray:
        """Return a factor of a fold that is done, read from its file where it is looked at."""
        return np.asarray(np.load(_path(fold, part), mmap_mode="r", allow_pickle=False))


def _path(fold: int, part: str) -> Path:
    return FACTORS / f"{fold}_{part}.npy"
