"""Permissions of files with secrets."""

from __future__ import annotations

import os
import stat
from pathlib import Path

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def exposure_fault(path: Path) -> str | None:
    """Return a message with a remedy if other users can access a file, else None."""
    status = path.stat()
    if status.st_uid != os.geteuid():
        return f"{path} belongs to another user: use your own file"
    if status.st_mode & _OTHERS:
        return f"{path} can be read or written by others (mode {stat.S_IMODE(status.st_mode):o}): chmod 600 {path}"
    return None


def make_private(path: Path) -> None:
    """Remove all permissions of a file except those of its owner."""
    path.chmod(stat.S_IMODE(path.stat().st_mode) & ~_OTHERS)
