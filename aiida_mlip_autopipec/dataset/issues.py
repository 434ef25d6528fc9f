"""An implausible label: what is inconsistent, and the likely cause."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

Check = Literal["forces", "stress", "mixed_energies", "energy_per_atom", "free_atoms", "distances"]


@dataclass(frozen=True)
class PlausibilityIssue:
    """Implausible labels.

    :ivar check: the check that failed.
    :ivar message: the inconsistent values.
    :ivar cause: the likely cause and its remedy.
    """

    check: Check
    message: str
    cause: str

    def __str__(self) -> str:
        """Return message and cause in one line."""
        return f"{self.message}. Likely cause: {self.cause}"

    def as_dict(self) -> dict[str, str]:
        """Return the fields, ready for JSON."""
        return asdict(self)
