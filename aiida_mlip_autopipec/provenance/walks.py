"""Walks along the links of the provenance graph, by few queries for each generation of nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from aiida import orm
from aiida.common.links import LinkType

CALL_LINKS = (LinkType.CALL_CALC.value, LinkType.CALL_WORK.value)
DATA_LINKS = (LinkType.INPUT_CALC.value, LinkType.CREATE.value)

_CHUNK = 10_000
"""Number of nodes in one query; SQLite allows about 30,000 values."""


@dataclass(frozen=True)
class Call:
    """The call of a process.

    :ivar caller: PK of the process that called it.
    :ivar label: label of the call.
    """

    caller: int
    label: str


def chunks(pks: Sequence[int]) -> Iterator[list[int]]:
    """Yield the PKs in lists that are short enough for one query."""
    for start in range(0, len(pks), _CHUNK):
        yield list(pks[start : start + _CHUNK])


def follow(pks: Sequence[int], links: Sequence[str]) -> set[int]:
    """Return the PKs of the nodes at the ends of links of some types, and of links from there."""
    found: set[int] = set()
    generation = list(pks)
    while generation:
        children: set[int] = set()
        for chunk in chunks(generation):
            query = orm.QueryBuilder().append(orm.Node, filters={"id": {"in": chunk}}, tag="parent")
            query.append(orm.Node, with_incoming="parent", edge_filters={"type": {"in": links}}, project="id")
            children.update(query.distinct().all(flat=True))
        generation = sorted(children - found)
        found |= children
    return found


def calls_of(pks: Sequence[int]) -> dict[int, Call]:
    """Return the calls of processes, of their callers, and so on up to the runs, by the PK of the called process."""
    calls: dict[int, Call] = {}
    below = sorted(pks)
    while below:
        found: dict[int, Call] = {}
        for chunk in chunks(below):
            query = orm.QueryBuilder().append(
                orm.ProcessNode, filters={"id": {"in": chunk}}, tag="called", project="id"
            )
            query.append(
                orm.WorkflowNode,
                with_outgoing="called",
                edge_filters={"type": {"in": CALL_LINKS}},
                project="id",
                edge_project="label",
            )
            found |= {called: Call(caller, label) for called, caller, label in query.iterall()}
        calls |= found
        below = sorted({call.caller for call in found.values()} - calls.keys())
    return calls


def calls_above(pk: int, calls: Mapping[int, Call]) -> Iterator[Call]:
    """Yield the call of a process, that of its caller, and so on up to the run."""
    while pk in calls:
        yield calls[pk]
        pk = calls[pk].caller
