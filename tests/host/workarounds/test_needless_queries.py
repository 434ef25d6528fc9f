"""Links and stored rows are found, and wrong links refused, as by aiida-core's own queries."""

from __future__ import annotations

import pytest
from aiida import orm
from aiida.common.links import LinkType
from aiida.manage.configuration import Profile
from sqlalchemy import event, text

from aiida_mlip_autopipec.host.workarounds import needless_queries


@pytest.fixture
def process(aiida_profile: Profile) -> orm.CalcFunctionNode:
    """A stored function with two inputs and an output."""
    needless_queries.install()
    node = orm.CalcFunctionNode()
    for label in ("first", "second"):
        node.base.links.add_incoming(orm.Int(1).store(), LinkType.INPUT_CALC, label)
    node.store()
    output = orm.Int(2)
    output.base.links.add_incoming(node, LinkType.CREATE, "result")
    output.store()
    return node


def by_query(node: orm.Node, **relation: str) -> set[tuple[str, str, str]]:
    """Return UUID, type and label of each link of a node, by aiida-core's own query."""
    builder = orm.QueryBuilder().append(orm.Node, filters={"id": node.pk}, tag="main")
    builder.append(orm.Node, project="uuid", edge_project=["type", "label"], **relation)
    return {tuple(row) for row in builder.all()}


@pytest.mark.parametrize("direction", ["incoming", "outgoing"])
def test_links_equal_those_of_the_query_builder(direction: str, process: orm.CalcFunctionNode) -> None:
    relation = {"incoming": "with_outgoing", "outgoing": "with_incoming"}[direction]
    expected = by_query(process, **{relation: "main"})
    assert expected
    get = getattr(process.base.links, f"get_{direction}")
    assert {(triple.node.uuid, triple.link_type.value, triple.link_label) for triple in get()} == expected
    assert {(triple.node, triple.link_type.value, triple.link_label) for triple in get(only_uuid=True)} == expected
    assert {type(triple.node) for triple in get()} == {orm.Int}
    assert get(link_type=LinkType.RETURN).all() == get(node_class=orm.Str).all() == []
    assert len(get(node_class=orm.Int).all()) == len(expected)


def test_links_are_filtered_by_type_and_label(process: orm.CalcFunctionNode) -> None:
    get = process.base.links.get_incoming
    assert get(link_label_filter="fir%").all_link_labels() == ["first"]
    assert sorted(get(link_type=(LinkType.INPUT_CALC, LinkType.INPUT_WORK)).all_link_labels()) == ["first", "second"]


def test_links_that_are_not_allowed_are_refused(process: orm.CalcFunctionNode) -> None:
    output = process.outputs.result
    with pytest.raises(ValueError, match=r"already has an incoming LinkType\.CREATE link"):
        output.base.links.add_incoming(process, LinkType.CREATE, "other")
    with pytest.raises(ValueError, match=r'already has an outgoing LinkType\.CREATE link with label "result"'):
        orm.Int(3).base.links.add_incoming(process, LinkType.CREATE, "result")
    with pytest.raises(ValueError, match="would generate a cycle"):
        process.inputs.first.base.links.add_incoming(process, LinkType.CREATE, "cycle")
    workflow = orm.WorkFunctionNode().store()
    output.base.links.add_incoming(workflow, LinkType.RETURN, "result")
    with pytest.raises(ValueError, match=r"already has an outgoing LinkType\.RETURN link"):
        output.base.links.add_incoming(workflow, LinkType.RETURN, "result")


def test_unchanging_columns_are_read_without_a_query(process: orm.CalcFunctionNode) -> None:
    new = orm.Int(4)
    model = new.backend_entity.model
    assert (model.is_saved(), new.pk) == (False, None)
    uuid = new.uuid
    new.store()
    # Each commit makes the session forget what it has read.
    new.backend.get_session().expire_all()
    asked = []
    engine = new.backend.get_session().get_bind()
    event.listen(engine, "before_cursor_execute", lambda *arguments: asked.append(arguments[2]))
    assert model.is_saved() and new.pk == model.id and new.pk > 0
    assert not asked
    assert (new.uuid, new.node_type) == (uuid, "data.core.int.Int.")
    assert orm.load_node(new.pk).uuid == uuid


def test_changes_by_another_program_are_read(process: orm.CalcFunctionNode) -> None:
    process.label = "before"
    with process.backend.get_session().get_bind().connect() as other, other.begin():
        other.execute(text("UPDATE db_dbnode SET label = 'after' WHERE id = :pk"), {"pk": process.pk})
    assert process.label == "after"
