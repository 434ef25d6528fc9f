"""Files of a running fit in its working folder: they save memory, and a restarted fit continues from them."""

from __future__ import annotations

import os
import shutil
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mlip_common.atomic import atomic_write
from mlip_common.errors import log

FACTORS = Path("factors")
"""Folder of the reduced design matrix: the factors of the finished folds and of the current one."""

FULL_FACTORS = Path("factors_of_all")
"""The same of the chosen functions and all structures, if functions were chosen on a sample."""

TEACHER_FACTORS = Path("factors_of_teacher")
"""The same with the functions of the teacher."""

SAVE_INTERVAL = 120.0
"""Seconds between two saved states of the current fold."""

NONLINEAR = Path("nonlinear")
"""Folder of the nonlinear fit, with its interim potential."""

CHECKPOINTS = (FACTORS, FULL_FACTORS, TEACHER_FACTORS, NONLINEAR)
"""All folders of an unfinished fit."""

PARTS = ("energy", "forces", "virial")
"""The factors of a fold."""

FORMAT = 4
"""Version of the file format."""

_KEY, _IN_PROGRESS = "key", "at_work.npz"


def copy_checkpoint(previous: Path) -> None:
    """Copy the checkpoint of an earlier fit, if there is one, to the working folder."""
    for folder in CHECKPOINTS:
        if (previous / folder).is_dir() and not folder.exists():
            with atomic_write(folder) as temporary:
                shutil.rmtree(temporary, ignore_errors=True)
                shutil.copytree(previous / folder, temporary)
            log(f"restarting from {previous / folder}")


def remove_checkpoints() -> None:
    """Remove the checkpoints of a finished fit."""
    for folder in CHECKPOINTS:
        shutil.rmtree(folder, ignore_errors=True)


class Checkpoint:
    """The state of the reduction of the design matrix in files, from which a restarted job continues.

    :param key: hash of the problem; files of another problem are removed.
    :param folder: folder of the files.
    """

    def __init__(self, key: str, folder: Path = FACTORS) -> None:
        self._folder = folder
        self._written = time.monotonic()
        self._finished: list[int] = []
        path = folder / _KEY
        if path.is_file() and path.read_text() == key:
            return
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        with atomic_write(path) as temporary:
            temporary.write_text(key)

    def load(self) -> tuple[int, list[np.ndarray]] | None:
        """Return the number of finished chunks and the factors of the current fold; None without usable files."""
        try:
            with np.load(self._folder / _IN_PROGRESS, allow_pickle=False) as arrays:
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
        """Write the state of the current fold, if the last saved state is old or `now` is set."""
        if not now and time.monotonic() - self._written < SAVE_INTERVAL:
            return
        with atomic_write(self._folder / _IN_PROGRESS) as temporary, temporary.open("wb") as handle:
            arrays: dict[str, Any] = {"done": done, "finished": np.array(self._finished, dtype=int)}
            arrays |= dict(zip(PARTS, factors, strict=True))
            np.savez(handle, **arrays)
        self._written = time.monotonic()

    def finish(self, fold: int, factors: Sequence[np.ndarray]) -> None:
        """Write the factors of a finished fold."""
        for part, array in zip(PARTS, factors, strict=True):
            with atomic_write(self._path(fold, part)) as temporary, temporary.open("wb") as handle:
                np.save(handle, array)
                handle.flush()
                os.fsync(handle.fileno())
        self._finished.append(fold)

    def factor(self, fold: int, part: str) -> np.ndarray:
        """Return a factor of a finished fold as a memory map of its file."""
        return np.asarray(np.load(self._path(fold, part), mmap_mode="r", allow_pickle=False))

    def _path(self, fold: int, part: str) -> Path:
        return self._folder / f"{fold}_{part}.npy"
