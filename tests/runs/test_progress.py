"""Progress of a run from the states of its processes."""

from __future__ import annotations

import pytest
from aiida import orm
from aiida.common.datastructures import CalcJobState
from aiida.common.links import LinkType
from aiida.schedulers import JobState
from plumpy.process_states import ProcessState

from aiida_mlip_autopipec.host.computers import ensure_computer
from aiida_mlip_autopipec.runs import progress
from aiida_mlip_autopipec.runs.progress import ONE_SHOT, active_of, jobs_of, not_started_of, paused_of


def process(state: ProcessState, caller: orm.WorkChainNode | None = None) -> orm.WorkChainNode:
    node = orm.WorkChainNode()
    node.set_process_label(ONE_SHOT if caller is None else "LabellingWorkChain")
    node.set_process_state(state)
    if caller is not None:
        node.base.links.add_incoming(caller, LinkType.CALL_WORK, "called")
    return node.store()


@pytest.mark.usefixtures("aiida_profile")
@pytest.mark.parametrize("state", [ProcessState.RUNNING, ProcessState.WAITING])
def test_active_run_is_never_reported_as_not_started(state: ProcessState, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "START_SECONDS", -1.0)
    run = process(state)
    called = process(state, run)
    assert active_of(run) == [run, called]
    assert not_started_of(run) == []


@pytest.mark.usefixtures("aiida_profile")
def test_process_is_reported_as_not_started_only_after_some_time(monkeypatch: pytest.MonkeyPatch) -> None:
    run = process(ProcessState.WAITING)
    called = process(ProcessState.CREATED, run)
    assert not_started_of(run) == []
    monkeypatch.setattr(progress, "START_SECONDS", -1.0)
    assert not_started_of(run) == [called]


@pytest.mark.usefixtures("aiida_profile")
def test_states_of_a_job_from_preparation_to_retrieval() -> None:
    oracle = process(ProcessState.WAITING, process(ProcessState.WAITING))
    job = orm.CalcJobNode(computer=ensure_computer("localhost"))
    job.set_process_state(ProcessState.WAITING)
    job.base.links.add_incoming(oracle, LinkType.CALL_CALC, "job")
    job.store()
    found = [jobs_of(oracle)]
    for state in ("uploading", "unstashing", "submitting", "withscheduler", "retrieving"):
        job.set_state(CalcJobState(state))
        found.append(jobs_of(oracle))
    job.set_scheduler_state(JobState.RUNNING)
    job.set_state(CalcJobState.WITHSCHEDULER)
    found.insert(5, jobs_of(oracle))
    assert [state for (state,) in found] == [*["being prepared"] * 4, "waiting", "running", "retrieving files"]


@pytest.mark.usefixtures("aiida_profile")
def test_active_processes_are_filtered_by_attributes() -> None:
    run = process(ProcessState.WAITING)
    ended = process(ProcessState.FINISHED, run)
    paused = process(ProcessState.WAITING, run)
    paused.pause()
    assert active_of(run) == [run, paused]
    assert active_of(run, process_state="finished") == [ended]
    assert paused_of(run) == [paused]
