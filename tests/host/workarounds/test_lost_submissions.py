"""A worker that takes over a process sends the lost tasks of its child processes again."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from aiida import orm
from aiida.engine import ProcessState

from aiida_mlip_autopipec.host import tasks
from aiida_mlip_autopipec.host.workarounds import lost_submissions


def process_waiting_for(children: list[orm.WorkChainNode], sent: list[int], by_daemon: bool) -> SimpleNamespace:
    controller = SimpleNamespace(continue_process=lambda pk, **options: sent.append(pk))
    runner = SimpleNamespace(is_daemon_runner=by_daemon, controller=controller)
    return SimpleNamespace(_awaitables=[SimpleNamespace(pk=child.pk) for child in children], runner=runner)


@pytest.mark.parametrize("by_daemon", [True, False])
@pytest.mark.usefixtures("aiida_profile")
def test_only_lost_tasks_are_sent_again(monkeypatch: pytest.MonkeyPatch, by_daemon: bool) -> None:
    children = [orm.WorkChainNode().store() for _ in range(3)]
    for child, state in zip(children, (ProcessState.CREATED, ProcessState.CREATED, ProcessState.RUNNING), strict=True):
        child.set_process_state(state)
    lost, queued, _ = children
    monkeypatch.setattr(tasks, "processes_with_task", lambda: {queued.pk})
    sent: list[int] = []
    lost_submissions.send_again(process_waiting_for(children, sent, by_daemon))
    assert sent == ([lost.pk] if by_daemon else [])
    lost_submissions.send_again(SimpleNamespace())
    assert len(sent) == by_daemon
