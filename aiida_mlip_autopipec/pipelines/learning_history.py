"""The history of an active learning run: one query, for the display of a run as well."""

from __future__ import annotations

from aiida import orm

RECORDERS = ("begin_history", "add_round", "add_failed_round", "lower_limit")
"""The calcfunctions that store a history."""


def history_of(run: orm.WorkChainNode) -> orm.Dict | None:
    """Return the newest history of a run; None if it has no potential yet."""
    query = orm.QueryBuilder().append(orm.WorkChainNode, filters={"id": run.pk}, tag="run")
    query.append(
        orm.CalcFunctionNode,
        with_incoming="run",
        filters={"attributes.process_label": {"in": list(RECORDERS)}, "attributes.exit_status": 0},
        tag="record",
    )
    query.append(orm.Dict, with_incoming="record", tag="history", project=["*"])
    query.order_by({"history": {"id": "desc"}})
    newest = query.first(flat=True)
    if newest is None and "previous" in run.inputs:
        return run.inputs.previous.history
    return newest
