"""Fewer and shorter queries of the database.

aiida-core 2.9 asks the database, for each link that it adds, whether the link closes a cycle, also where a new node cannot
close one; it builds each query for links by its `QueryBuilder`, which takes longer than the query; and it loads a row
again after each commit to find out whether the row is stored. That took two fifths of the processor time of a small run. At
each of its steps a process asks which outputs it has stored; without outputs there is nothing to compare them with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from . import are_needed

if TYPE_CHECKING:
    from aiida.common.links import LinkType
    from aiida.orm import Node
    from aiida.orm.nodes.links import NodeLinks
    from aiida.orm.utils.links import LinkTriple
    from aiida.storage.psql_dos.orm.utils import ModelWrapper

_installed = False


def install() -> None:
    """Let AiiDA send no needless queries to the database, and read links by one short statement."""
    global _installed
    if _installed or not are_needed():
        return
    _cache_unchanging_columns()
    _skip_cycle_check_of_new_nodes()
    _query_links_directly()
    _query_outputs_only_if_any()
    _installed = True


def _cache_unchanging_columns() -> None:
    from aiida.storage.psql_dos.orm.utils import ModelWrapper
    from sqlalchemy.orm.attributes import instance_state

    get = ModelWrapper.__getattr__

    def is_saved(self: ModelWrapper) -> bool:
        return instance_state(self._model).key is not None

    def get_known(self: ModelWrapper, item: str) -> Any:
        if item == "id":
            identity = instance_state(self._model).identity
            return self._model.id if identity is None else identity[0]
        value = get(self, item)
        if item in ("uuid", "node_type") and is_saved(self):
            # Found there from now on, without this function.
            object.__setattr__(self, item, value)
        return value

    ModelWrapper.is_saved = is_saved
    ModelWrapper.__getattr__ = get_known


def _skip_cycle_check_of_new_nodes() -> None:
    from aiida.orm.nodes.links import NodeLinks
    from aiida.orm.utils.links import validate_link

    validate = NodeLinks.validate_incoming

    def validate_incoming(self: NodeLinks, source: Node, link_type: LinkType, link_label: str) -> None:
        if getattr(source, "is_stored", True) and self._node.is_stored:
            validate(self, source, link_type, link_label)
        else:
            validate_link(source, self._node, link_type, link_label, backend=self._node.backend)

    NodeLinks.validate_incoming = validate_incoming


def _query_links_directly() -> None:
    from aiida.common.links import LinkType
    from aiida.orm.convert import get_orm_entity
    from aiida.orm.nodes.links import NodeLinks
    from aiida.orm.utils import links
    from aiida.storage.psql_dos.orm.nodes import SqlaNode
    from sqlalchemy import String, select

    ask_for_triples, ask_for_triple = NodeLinks.get_stored_link_triples, links.link_triple_exists

    def get_stored_link_triples(
        self: NodeLinks,
        node_class: type[Node] | None = None,
        link_type: LinkType | Sequence[LinkType] = (),
        link_label_filter: str | None = None,
        link_direction: str = "incoming",
        only_uuid: bool = False,
    ) -> list[LinkTriple]:
        entity = self._node.backend_entity
        types = link_type if isinstance(link_type, tuple | list) else (link_type,)
        if (
            node_class is not None
            or not isinstance(entity, SqlaNode)
            or not all(isinstance(t, LinkType) for t in types)
        ):
            return ask_for_triples(self, node_class, link_type, link_label_filter, link_direction, only_uuid)
        link, row = entity.LINK_CLASS, entity.MODEL_CLASS
        here, there = link.output_id, link.input_id
        if link_direction == "outgoing":
            here, there = there, here
        query = (
            select(row.uuid if only_uuid else row, link.type, link.label)
            .join(link, there == row.id)
            .where(here == entity.pk)
        )
        if types:
            query = query.where(link.type.in_([one.value for one in types]))
        if link_label_filter:
            query = query.where(link.label.cast(String).like(link_label_filter))
        backend = self._node.backend
        return [
            links.LinkTriple(
                str(found) if only_uuid else get_orm_entity(backend.get_backend_entity(found)), LinkType(type_), label
            )
            for found, type_, label in backend.get_session().execute(query)
        ]

    def link_triple_exists(
        source: Node, target: Node, link_type: LinkType, link_label: str, backend: Any = None
    ) -> bool:
        entity = target.backend_entity
        if not (source.is_stored and target.is_stored and isinstance(entity, SqlaNode)):
            return ask_for_triple(source, target, link_type, link_label, backend)
        link = entity.LINK_CLASS
        query = select(link.id).where(
            link.input_id == source.pk,
            link.output_id == target.pk,
            link.type == link_type.value,
            link.label == link_label,
        )
        in_cache = links.LinkTriple(source, link_type, link_label) in target.base.links.incoming_cache
        return in_cache or target.backend.get_session().execute(query.limit(1)).first() is not None

    NodeLinks.get_stored_link_triples = get_stored_link_triples
    links.link_triple_exists = link_triple_exists


def _query_outputs_only_if_any() -> None:
    from aiida.engine import Process

    store_new_outputs = Process.update_outputs

    def update_outputs(self: Process) -> None:
        if self.outputs:
            store_new_outputs(self)

    Process.update_outputs = update_outputs
