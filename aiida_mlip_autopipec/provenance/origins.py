"""Where the user's structures behind a potential come from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from aiida import orm


def origins_of_given_structures(generators: Sequence[int]) -> tuple[str, ...]:
    """Return the origins (name, file or node, frame) of the user's structures that were inputs of calculations.

    :param generators: PKs of the calculations that generated structures.
    """
    if not generators:
        return ()
    query = orm.QueryBuilder()
    query.append(orm.CalculationNode, filters={"id": {"in": list(generators)}}, tag="maker")
    query.append(orm.TrajectoryData, with_outgoing="maker", project=["*"])
    nodes = {node.uuid: node for (node,) in query.iterall()}
    arrays = [node.get_array("origins") for node in nodes.values() if "origins" in node.get_arraynames()]
    return tuple(str(origin) for origin in np.unique(np.concatenate(arrays))) if arrays else ()
