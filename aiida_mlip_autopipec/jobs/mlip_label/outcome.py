"""The result of one structure."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Outcome:
    """The result of one structure: its labels, or the failure kind and the reason."""

    labels: dict = field(default_factory=dict)
    failure: str | None = None
    reason: str = ""
