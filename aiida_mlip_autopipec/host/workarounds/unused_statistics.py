"""A daemon without circus's process for statistics.

In aiida-core 2.9 the supervisor starts a process that reads the processor time and memory of all workers every second and
publishes them; nothing subscribes. It uses 2 % of a core as long as the daemon runs. `verdi daemon status` asks the
supervisor itself.
"""

from __future__ import annotations

from typing import Any

from . import are_needed


def install() -> None:
    """Let the supervisor that this process starts have no process for statistics."""
    if not are_needed():
        return
    import circus

    get_arbiter = circus.get_arbiter

    def without_statistics(*arguments: Any, **settings: Any) -> Any:
        # An endpoint alone starts the process too.
        return get_arbiter(*arguments, **{**settings, "statsd": False, "stats_endpoint": None})

    circus.get_arbiter = without_statistics
