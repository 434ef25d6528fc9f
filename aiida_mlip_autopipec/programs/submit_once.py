"""Submission in repeatable steps of a WorkChain: if a worker is killed during a step, another worker repeats it."""

from __future__ import annotations

from typing import Any

from aiida.common.links import LinkType
from aiida.engine import Process, ProcessState, WorkChain
from aiida.orm import ProcessNode

from ..host.tasks import send_missing_tasks


def submit_once(workchain: WorkChain, process: type[Process], label: str, **inputs: Any) -> ProcessNode:
    """Submit a process, or return the process that an interrupted execution of the same step has submitted.

    A worker that is killed while it submits may leave a node without a checkpoint, which no worker can run: it is marked as
    killed, and the process is submitted anew. If only the task was not sent yet, it is sent now.

    :param label: label of the call link, unique in this WorkChain.
    """
    links = workchain.node.base.links.get_outgoing(link_type=(LinkType.CALL_CALC, LinkType.CALL_WORK))
    submitted = [link.node for link in links.all() if link.link_label == label]
    if submitted:
        newest = max(submitted, key=lambda node: int(node.pk))
        if not workchain.runner.is_daemon_runner or _is_taken_up(workchain, newest):
            return newest
    metadata = {**inputs.pop("metadata", {}), "call_link_label": label}
    return workchain.submit(process, **inputs, metadata=metadata)


def _is_taken_up(workchain: WorkChain, node: ProcessNode) -> bool:
    """Return whether a worker runs a process, will run it, or has run it; mark it as killed if none can."""
    if node.is_terminated:
        return True
    if node.checkpoint is None:
        node.set_process_state(ProcessState.KILLED)
        node.set_process_status("The worker that submitted it was killed before it could begin")
        node.seal()
        return False
    send_missing_tasks([node.pk], workchain.runner.controller)
    return True
