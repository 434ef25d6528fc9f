"""Atomic replacement of a file."""

from __future__ import annotations

import glob
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder; it replaces the file after it is complete and synced to disk."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        # O_EXCL: do not follow an existing link of this name.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        yield temporary
        with temporary.open("r+b") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        for leftover in path.parent.glob(f"{glob.escape(temporary.name)}*"):
            leftover.unlink()
