"""A repeated step reuses the process that it has submitted before."""

from __future__ import annotations

import pytest
from aiida.engine import ProcessSpec, ToContext, WorkChain, run_get_node

from aiida_mlip_autopipec.programs.submit_once import called_by_number, submit_once


class Child(WorkChain):
    """A WorkChain that does nothing."""

    @classmethod
    def define(cls, spec: ProcessSpec) -> None:
        super().define(spec)
        spec.outline(cls.nothing)

    def nothing(self) -> None:
        """Do nothing."""


class Parent(WorkChain):
    """A WorkChain that submits a child in a step that runs twice, and another child."""

    @classmethod
    def define(cls, spec: ProcessSpec) -> None:
        super().define(spec)
        spec.outline(cls.first, cls.first, cls.second, cls.end)

    def first(self) -> ToContext:
        """Submit a child."""
        return ToContext(first=submit_once(self, Child, "child_1"))

    def second(self) -> ToContext:
        """Submit another child, whose link label matches that of the first one as a LIKE pattern."""
        return ToContext(second=submit_once(self, Child, "childx1", metadata={"label": "another"}))

    def end(self) -> None:
        """Finish after the children."""


@pytest.mark.usefixtures("aiida_profile")
def test_a_repeated_step_submits_nothing_again() -> None:
    _, node = run_get_node(Parent)
    assert node.is_finished_ok
    called = {link.link_label: link.node for link in node.base.links.get_outgoing().all()}
    assert sorted(called) == ["child_1", "childx1"]
    assert all(child.is_finished_ok for child in called.values())
    assert called["childx1"].label == "another"
    assert called_by_number(node, "child") == {1: called["child_1"]}
