"""Foundation models of MACE; on a GPU if there is one."""

from __future__ import annotations

from typing import Any

from mace.calculators import mace_mp


def make(**parameters: Any) -> Any:
    """Return a calculator with the model of a name, or of a file given by its path."""
    return mace_mp(**parameters)
