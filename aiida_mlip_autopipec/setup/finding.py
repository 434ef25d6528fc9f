"""What a check found: a line on one thing, and how to mend it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "failed", "skipped"]


@dataclass(frozen=True)
class Finding:
    """One thing that works, or not, and then how to mend it."""

    name: str
    state: State
    detail: str = ""
    mend: str = ""


def one_line(error: BaseException) -> str:
    """Return what an error says, on one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")
