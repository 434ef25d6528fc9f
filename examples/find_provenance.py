#!/usr/bin/env -S verdi run
"""From a `.yace` node to every structure, calculation, code and computer it came from, by QueryBuilder alone.

    verdi run examples/find_provenance.py PK|UUID

`aiida_mlip_autopipec.provenance.trace` answers the same and more; this shows how to ask one's own questions.
"""

import sys

from aiida import orm

if len(sys.argv) != 2:
    raise SystemExit("usage: verdi run examples/find_provenance.py PK|UUID (`mlip-auto list` shows potentials)")
potential = orm.load_node(sys.argv[1])
if isinstance(potential, orm.WorkChainNode):
    potential = potential.outputs.potential


def ancestors(node_class: type, project: list[str], **filters: object) -> list[tuple]:
    """Return a projection of all nodes of a class from which the potential descends."""
    query = orm.QueryBuilder()
    query.append(orm.Node, filters={"uuid": potential.uuid}, tag="potential")
    query.append(node_class, with_descendants="potential", filters=filters or None, project=project)
    return query.distinct().all()


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

query = orm.QueryBuilder()
query.append(orm.Node, filters={"uuid": potential.uuid}, tag="potential")
query.append(orm.CalculationNode, with_descendants="potential", tag="calculation")
query.append(orm.Computer, with_node="calculation", project=["label", "hostname"])
print("computers:")
for label, hostname in query.distinct().all():
    print(f"  {label} ({hostname})")
