"""Stages of a run from the processes that it called."""

from __future__ import annotations

import pytest
from aiida import orm
from aiida.common.links import LinkType
from plumpy.process_states import ProcessState

from aiida_mlip_autopipec.runs.progress import LEARNING
from aiida_mlip_autopipec.runs.stages import stages


@pytest.mark.usefixtures("aiida_profile")
@pytest.mark.parametrize("called", [["explore_2_1"], ["explore_2", "select_2", "explore_2_1"]])
def test_a_repeated_exploration_is_shown_as_the_current_round(called: list[str]) -> None:
    run = orm.WorkChainNode()
    run.set_process_label(LEARNING)
    run.set_process_state(ProcessState.WAITING)
    rows = [{"round": number, "total": 20, "failed": 0} for number in range(2)]
    inputs = {"validate": orm.Bool(False), "previous__history": orm.Dict({"rounds": rows})}
    for name, node in inputs.items():
        run.base.links.add_incoming(node.store(), LinkType.INPUT_WORK, name)
    run.store()
    for label in called:
        step = orm.WorkChainNode()
        step.set_process_state(ProcessState.WAITING if label == called[-1] else ProcessState.FINISHED)
        step.base.links.add_incoming(run, LinkType.CALL_WORK, label)
        step.store()
    assert [stage.name for stage in stages(run)] == ["start", "round 1", "round 2"]
    assert stages(run)[-1].detail == "exploring"
