"""What `settings.json` asks for."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path

from acecommon.errors import ExplainedError

METHODS = ("d_optimal", "farthest_point")


@dataclass(frozen=True)
class Settings:
    """How many structures are chosen and how.

    The candidates' parts (``atoms.info["block"]``) are gone through in turn, `per_block` structures chosen for each.
    """

    count: int
    method: str = "d_optimal"
    n_functions: int = 200
    per_block: int = 50


def read_settings(path: Path) -> Settings:
    """Read and check `settings.json`."""
    try:
        raw = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ExplainedError("bad_input", f"{path}: cannot be read: {error}") from error
    known = [field.name for field in fields(Settings)]
    if not isinstance(raw, dict) or "count" not in raw or not raw.keys() <= set(known):
        raise ExplainedError("bad_input", f"{path}: needs the key count; allowed: {', '.join(known)}")
    settings = Settings(**raw)
    if settings.method not in METHODS:
        raise ExplainedError("bad_input", f"{path}: method is {settings.method!r}; allowed: {', '.join(METHODS)}")
    for name in ("count", "n_functions", "per_block"):
        value = getattr(settings, name)
        if not isinstance(value, int) or value < 1:
            raise ExplainedError("bad_input", f"{path}: {name} is {value!r}; allowed: whole numbers from 1")
    return settings
