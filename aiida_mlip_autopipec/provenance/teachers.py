"""Which calculations behind a potential are those of a teacher, and not of the oracle."""

from __future__ import annotations

from collections.abc import Collection

from aiida import orm
from aiida.common.links import LinkType

from .calls import TEACH

OF_TEACHER = " (teacher)"
"""End of the label of a process that belongs to a teacher."""


def calculations_of_teachers(calculations: Collection[int]) -> set[int]:
    """Return those of some calculations, by PK, that ran in a run of a teacher; one query for each level of callers."""
    # Each process and the calculations below it.
    below = {pk: {pk} for pk in calculations}
    found: set[int] = set()
    while below:
        query = orm.QueryBuilder().append(orm.WorkChainNode, tag="caller", project=["id"])
        calls = {"type": {"in": [LinkType.CALL_CALC.value, LinkType.CALL_WORK.value]}}
        query.append(
            orm.ProcessNode,
            filters={"id": {"in": list(below)}},
            with_incoming="caller",
            edge_filters=calls,
            project=["id"],
            edge_project=["label"],
        )
        callers: dict[int, set[int]] = {}
        for caller, called, label in query.all():
            if label == TEACH:
                found |= below[called]
            else:
                callers.setdefault(caller, set()).update(below[called])
        below = callers
    return found
