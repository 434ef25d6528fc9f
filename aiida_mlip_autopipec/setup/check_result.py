"""Result of one check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "failed", "skipped"]


@dataclass(frozen=True)
class CheckResult:
    """State of a service, computer or code, with a remedy for a failure."""

    name: str
    state: State
    detail: str = ""
    remedy: str = ""


def one_line(error: BaseException) -> str:
    """Return type and message of an error on one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")
