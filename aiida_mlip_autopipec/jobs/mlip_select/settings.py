"""The settings of a selection."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path

from mlip_common.errors import ProgramError

METHODS = ("d_optimal", "farthest_point")


@dataclass(frozen=True)
class SelectionSettings:
    """The content of `settings.json`: how many structures are selected and how.

    The blocks of candidates (``atoms.info["block"]``) are processed in order, with `per_block` selected structures each, and
    from the last block as many as are missing. A fraction `representative` of them is drawn at random.
    """

    count: int
    method: str = "d_optimal"
    n_functions: int = 200
    per_block: int = 50
    representative: float = 0.0


def read_settings(path: Path) -> SelectionSettings:
    """Read and check `settings.json`.

    :raises ProgramError: of the kind `bad_input`.
    """
    try:
        raw = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ProgramError("bad_input", f"{path}: cannot be read: {error}") from error
    known = [field.name for field in fields(SelectionSettings)]
    if not isinstance(raw, dict) or "count" not in raw or not raw.keys() <= set(known):
        raise ProgramError("bad_input", f"{path}: needs the key count; allowed: {', '.join(known)}")
    settings = SelectionSettings(**raw)
    if settings.method not in METHODS:
        raise ProgramError("bad_input", f"{path}: method is {settings.method!r}; allowed: {', '.join(METHODS)}")
    for name in ("count", "n_functions", "per_block"):
        value = getattr(settings, name)
        if not isinstance(value, int) or value < 1:
            raise ProgramError("bad_input", f"{path}: {name} is {value!r}; allowed: whole numbers from 1")
    share = settings.representative
    if not isinstance(share, int | float) or not 0.0 <= share <= 1.0:
        raise ProgramError("bad_input", f"{path}: representative is {share!r}; allowed: numbers from 0 to 1")
    return settings
