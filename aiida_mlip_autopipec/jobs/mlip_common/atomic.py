"""Atomic writing: a file appears complete or not at all."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path next to a file or folder, and rename it to `path` at the end."""
    temporary = path.with_name(f"{path.name}.part")
    yield temporary
    temporary.replace(path)
