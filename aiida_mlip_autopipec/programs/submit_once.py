"""Submission in repeatable steps of a WorkChain: if a worker is killed during a step, another worker repeats it."""

from __future__ import annotations

from typing import Any

from aiida.common.links import LinkType
from aiida.engine import Process, ProcessState, WorkChain
from aiida.orm import ProcessNode

from ..host.tasks import send_missing_tasks


def submit_once(workchain: WorkChain, process: type[Process], label: str, **inputs: Any) -> ProcessNode:
    """Submit a process, or return the process that an interrupted execution of the same step has submitted.

    A worker that is killed while it submits may leave a node without a checkpoint, which no worker can run: this node is
    marked as killed, and the process is submitted again. If only the task was not sent yet, it is sent now.

    :param label: label of the call link, unique in this WorkChain.
    """
    newest = called(workchain.node, label)
    if newest is not None and (not workchain.runner.is_daemon_runner or _is_taken_up(workchain, newest)):
        return newest
    metadata = {**inputs.pop("metadata", {}), "call_link_label": label}
    return workchain.submit(process, **inputs, metadata=metadata)


def called(node: ProcessNode, label: str) -> ProcessNode | None:
    """Return the newest process that a process has called under a label, or None."""
    # There may be thousands of links: the filter, in which `_` is any character, leaves only few.
    links = node.base.links.get_outgoing(link_type=(LinkType.CALL_CALC, LinkType.CALL_WORK), link_label_filter=label)
    submitted = [link.node for link in links.all() if link.link_label == label]
    return max(submitted, key=lambda node: int(node.pk), default=None)


def called_by_number(node: ProcessNode, name: str) -> dict[int, ProcessNode]:
    """Return the processes that a process has called as `<name>_<number>`, by number; the newest of each."""
    links = node.base.links.get_outgoing(
        link_type=(LinkType.CALL_CALC, LinkType.CALL_WORK), link_label_filter=f"{name}_%"
    )
    nodes: dict[int, ProcessNode] = {}
    for link in sorted(links.all(), key=lambda link: int(link.node.pk)):
        number = link.link_label.removeprefix(f"{name}_")
        if number.isdecimal():
            nodes[int(number)] = link.node
    return dict(sorted(nodes.items()))


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
