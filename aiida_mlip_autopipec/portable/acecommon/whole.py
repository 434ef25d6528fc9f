"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield the path to write to instead; what is there takes its name when it is done."""
    beside = path.with_name(f"{path.name}.part")
    yield beside
    beside.replace(path)
