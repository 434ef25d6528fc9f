"""The supervisor of the daemon has no process for statistics."""

from __future__ import annotations

import circus
import pytest

from aiida_mlip_autopipec.host.workarounds import unused_statistics


def names_of_watchers() -> list[str]:
    # The arguments of aiida-core.
    arbiter = circus.get_arbiter(
        watchers=[{"name": "worker", "cmd": "true"}], statsd=True, stats_endpoint="tcp://127.0.0.1:0"
    )
    return [watcher.name for watcher in arbiter.watchers]


def test_supervisor_has_no_process_for_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    # Restored at the end.
    monkeypatch.setattr(circus, "get_arbiter", circus.get_arbiter)
    assert names_of_watchers() == ["worker", "circusd-stats"]
    unused_statistics.install()
    assert names_of_watchers() == ["worker"]
