"""The workarounds that change nothing but the processor time."""

from __future__ import annotations

from . import needless_queries, repeated_lookups, slow_checkpoints, unchanged_jobs


def install() -> None:
    """Install them; a second call does nothing."""
    needless_queries.install()
    repeated_lookups.install()
    slow_checkpoints.install()
    unchanged_jobs.install()
