#!/usr/bin/env -S verdi run
"""Print all structures, calculations, codes and computers behind the node of a `.yace` file, with AiiDA's QueryBuilder only.

    verdi run examples/find_provenance.py PK|UUID

`aiida_mlip_autopipec.provenance.queries.trace` returns the same and more. Use this script as a start for queries of your own.
"""

import sys

from aiida import orm
from aiida.common.links import LinkType

if len(sys.argv) != 2:
    raise SystemExit("usage: verdi run examples/find_provenance.py PK|UUID (`mlip-auto list` shows potentials)")
potential = orm.load_node(sys.argv[1])
if isinstance(potential, orm.WorkChainNode):
    potential = potential.outputs.potential


def find_ancestors() -> list[int]:
    """Return the PKs of all nodes from which the potential descends, by one query for each generation.

    A single query with `with_descendants` follows every path, which takes minutes after active learning.
    """
    found: set[int] = set()
    generation = {potential.pk}
    while generation:
        query = orm.QueryBuilder()
        query.append(orm.Node, filters={"id": {"in": list(generation)}}, tag="child")
        links = {"type": {"in": [LinkType.INPUT_CALC.value, LinkType.CREATE.value]}}
        query.append(orm.Node, with_outgoing="child", edge_filters=links, project="id")
        generation = set(query.all(flat=True)) - found
        found |= generation
    return list(found)


found = {"id": {"in": find_ancestors()}}


def ancestors(node_class: type, project: list[str]) -> list[tuple]:
    """Return a projection of all nodes of a class from which the potential descends."""
    return orm.QueryBuilder().append(node_class, filters=found, project=project).distinct().all()


print(f"{potential.uuid} was made by {potential.creator.process_label} <{potential.creator.pk}>")

print("structures:")
for uuid, label, shape in ancestors(orm.TrajectoryData, ["uuid", "label", "attributes.array|steps"]):
    print(f"  {uuid}  {label:<12} {shape[0]} frames")

print("calculations:")
for uuid, label in ancestors(orm.CalculationNode, ["uuid", "attributes.process_label"]):
    print(f"  {uuid}  {label}")

print("codes:")
for uuid, label in ancestors(orm.Code, ["uuid", "label"]):
    print(f"  {uuid}  {label}")

query = orm.QueryBuilder().append(orm.CalculationNode, filters=found, tag="calculation")
query.append(orm.Computer, with_node="calculation", project=["label", "hostname"])
print("computers:")
for label, hostname in query.distinct().all():
    print(f"  {label} ({hostname})")
