"""The folder in which a structure is computed."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

SCRATCH = Path("scratch")


@contextlib.contextmanager
def scratch_folder(index: int) -> Iterator[Path]:
    """Work in an empty folder of a structure, `scratch/<index>`, and return to the folder of the job.

    The caller removes it, if the structure has its label, by :func:`clean`.
    """
    home = Path.cwd()
    folder = home / SCRATCH / f"{index:06d}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.chdir(folder)
    try:
        yield folder
    finally:
        os.chdir(home)


def clean(folder: Path, *, keep: bool) -> None:
    """Remove a folder; if it is to be kept, only if it is empty."""
    if not keep:
        shutil.rmtree(folder, ignore_errors=True)
    for path in (folder, folder.parent):
        with contextlib.suppress(OSError):
            path.rmdir()
