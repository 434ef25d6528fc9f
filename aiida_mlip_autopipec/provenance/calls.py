"""Queries about one process: the processes that it called, its inputs and outputs, each by one query."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.common.links import LinkType

N_STRUCTURES = "n_structures"
"""Attribute of a file of structures: their number."""

TEACH = "teach"
"""Label of the call of the run in which the teacher of a run is the oracle."""

COUNT_PROJECTIONS = ("attributes.array|steps", f"attributes.{N_STRUCTURES}")
"""Projections of the number of structures: of a trajectory, of a file of structures."""


def structure_count(shape: list[int] | None, n_structures: int | None) -> int:
    """Return the number of structures of a node from its projections :data:`COUNT_PROJECTIONS`."""
    return shape[0] if shape else n_structures or 0


def called_by(run: orm.WorkChainNode) -> dict[str, orm.WorkChainNode]:
    """Return the WorkChains called by a run, by call link label; of several with one label, the newest."""
    links = run.base.links.get_outgoing(link_type=LinkType.CALL_WORK).all()
    return {link.link_label: link.node for link in sorted(links, key=lambda link: int(link.node.pk))}


def has_input(process: orm.ProcessNode, label: str) -> bool:
    """Tell whether a process has an input, without loading its other inputs."""
    query = orm.QueryBuilder().append(orm.ProcessNode, filters={"id": process.pk}, tag="process")
    query.append(orm.Data, with_outgoing="process", edge_filters={"label": label}, project=["id"])
    return query.first() is not None


def output_of(process: orm.ProcessNode, label: str) -> Any | None:
    """Return an output of a process, without loading its other outputs; None if there is none."""
    query = orm.QueryBuilder().append(orm.ProcessNode, filters={"id": process.pk}, tag="process")
    query.append(orm.Data, with_incoming="process", edge_filters={"label": label}, project=["*"])
    return query.first(flat=True)


def count_input_structures(process: orm.ProcessNode, namespace: str) -> int:
    """Return the number of structures in a namespace of inputs: trajectories, or files of structures."""
    query = orm.QueryBuilder().append(orm.ProcessNode, filters={"id": process.pk}, tag="process")
    query.append(
        orm.Data,
        with_outgoing="process",
        edge_filters={"label": {"like": f"{namespace}__%"}},
        project=list(COUNT_PROJECTIONS),
    )
    return sum(structure_count(*row) for row in query.all())


def counts_of_created_structures(process: orm.ProcessNode) -> list[int]:
    """Return the number of structures in each trajectory or file of structures that a process created."""
    query = orm.QueryBuilder().append(orm.ProcessNode, filters={"id": process.pk}, tag="process")
    query.append(
        orm.Data, with_incoming="process", edge_filters={"type": LinkType.CREATE.value}, project=list(COUNT_PROJECTIONS)
    )
    return [structure_count(*row) for row in query.all() if any(row)]


def last_change() -> Any:
    """Return the time of the last change of any process of the profile, None without processes."""
    query = orm.QueryBuilder().append(orm.ProcessNode, tag="process", project=["mtime"])
    return query.order_by({"process": {"mtime": "desc"}}).limit(1).first(flat=True)
