"""Where the user's structures behind a potential come from."""

from __future__ import annotations

from collections.abc import Sequence

from aiida import orm


def origins_of_given_structures(generators: Sequence[int]) -> tuple[str, ...]:
    """Return the origins (name, file or node, frame) of the user's structures that were inputs of calculations.

    :param generators: PKs of the calculations that generated structures.
    """
    if not generators:
        return ()
    # Commands that show runs import this module, and the import of ASE is slow.
    from ..dataset.trajectory import origins_of

    query = orm.QueryBuilder()
    query.append(orm.CalculationNode, filters={"id": {"in": list(generators)}}, tag="maker")
    query.append(orm.TrajectoryData, with_outgoing="maker", project=["*"])
    nodes = {node.uuid: node for (node,) in query.iterall()}
    return tuple(sorted({origin for node in nodes.values() for origin in origins_of(node)}))
