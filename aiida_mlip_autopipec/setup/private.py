"""Whether a file that holds a secret is its owner's alone."""

from __future__ import annotations

import os
import stat
from pathlib import Path

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def exposure(path: Path) -> str | None:
    """Say what lets others than the one who runs this read a file, and how to mend it; None if nothing does."""
    status = path.stat()
    if status.st_uid != os.geteuid():
        return f"{path} belongs to somebody else: use a file of your own"
    if status.st_mode & _OTHERS:
        return f"{path} can be read or written by others (mode {stat.S_IMODE(status.st_mode):o}): chmod 600 {path}"
    return None


def make_private(path: Path) -> None:
    """Take a file from all but its owner."""
    path.chmod(stat.S_IMODE(path.stat().st_mode) & ~_OTHERS)
