"""What a fit that is ended leaves behind, for the next one to go on from."""

from __future__ import annotations

import shutil
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from acecommon.errors import log
from acecommon.whole import whole

from .data import FOLDS

CHECKPOINT = Path("checkpoint.npz")
CHECKPOINT_SECONDS = 120.0
"""Time between two checkpoints of the reduction."""

NONLINEAR = Path("nonlinear")
"""Folder of the nonlinear fit, with its interim potential."""

PARTS = ("energy", "forces", "virial")
"""Factors of a fold."""


def take_over(previous: Path) -> None:
    """Copy what an earlier fit left in its folder, if anything, to the working folder."""
    if (previous / CHECKPOINT).is_file() and not CHECKPOINT.exists():
        shutil.copyfile(previous / CHECKPOINT, CHECKPOINT)
        log(f"going on from {previous / CHECKPOINT}")
    if (previous / NONLINEAR).is_dir() and not NONLINEAR.exists():
        shutil.copytree(previous / NONLINEAR, NONLINEAR)
        log(f"going on from {previous / NONLINEAR}")


def clear() -> None:
    """Remove what a fit that is done would have left."""
    CHECKPOINT.unlink(missing_ok=True)
    shutil.rmtree(NONLINEAR, ignore_errors=True)


class Checkpoint:
    """The state of a reduction in a file, so that a job that was ended goes on where it was."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._written = time.monotonic()

    def load(self) -> tuple[int, list[list[np.ndarray]]] | None:
        """Return the number of chunks done and the factors by fold and part, if the file is of this very problem."""
        try:
            with np.load(CHECKPOINT, allow_pickle=False) as arrays:
                if str(arrays["key"]) != self._key:
                    return None
                parts = [[arrays[f"{fold}_{part}"] for part in PARTS] for fold in range(FOLDS)]
                return int(arrays["done"]), parts
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None

    def save(self, done: int, factors: Sequence[Sequence[np.ndarray]], now: bool = False) -> None:
        """Write the file, if the last one is old or `now`."""
        if not now and time.monotonic() - self._written < CHECKPOINT_SECONDS:
            return
        arrays: dict[str, Any] = {"key": self._key, "done": done}
        for fold, parts in enumerate(factors):
            arrays |= {f"{fold}_{part}": array for part, array in zip(PARTS, parts, strict=True)}
        with whole(CHECKPOINT) as beside, beside.open("wb") as handle:
            np.savez(handle, **arrays)
        self._written = time.monotonic()
