"""The reason of a failed process, as the exit message of its caller has it."""

from __future__ import annotations

from aiida.engine import ProcessState
from aiida.manage.configuration import Profile
from aiida.orm import WorkChainNode

from aiida_mlip_autopipec.programs.failures import reason_of


def test_reason_of_a_process_is_its_message_its_exception_or_its_state(aiida_profile: Profile) -> None:
    node = WorkChainNode()
    node.set_process_state(ProcessState.KILLED)
    assert reason_of(node) == "killed"
    node.set_process_state(ProcessState.EXCEPTED)
    node.set_exception("ValueError: no atoms\n")
    assert reason_of(node) == "ValueError: no atoms"
    node.set_exit_message("labelling failed: too few labels")
    assert reason_of(node) == "labelling failed: too few labels"
