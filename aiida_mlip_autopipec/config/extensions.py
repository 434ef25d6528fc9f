"""Entry points of the installed packages, by which other packages add oracles, recipes and properties."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points


@cache
def find_extensions(group: str) -> tuple[EntryPoint, ...]:
    """Return the entry points of a group; the metadata of all packages are read only once."""
    return tuple(entry_points(group=group))
