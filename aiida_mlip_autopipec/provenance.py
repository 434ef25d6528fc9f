"""Where a potential came from: a fixed number of QueryBuilder queries, whatever the number of structures."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from aiida import orm

GENERATED_BY = "generate_structures"


@dataclass(frozen=True)
class ProcessSummary:
    """The processes of one kind behind a potential."""

    label: str
    count: int
    codes: tuple[str, ...]
    computers: tuple[str, ...]
    uuids: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True)
class Provenance:
    """What stands behind a potential: processes by kind in order of time, codes, computers, structures, settings."""

    potential: str
    processes: tuple[ProcessSummary, ...]
    codes: tuple[str, ...]
    computers: tuple[str, ...]
    structures: dict[str, str]
    n_structures_generated: int
    settings: dict[str, dict[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return {
            "potential": self.potential,
            "processes": [vars(process) for process in self.processes],
            "codes": list(self.codes),
            "computers": list(self.computers),
            "structures": self.structures,
            "n_structures_generated": self.n_structures_generated,
            "settings": self.settings,
        }


def trace(potential: orm.Node) -> Provenance:
    """Return what stands behind a potential (or any other node a process of ours made), from the generator on."""
    processes = _ancestor_processes(potential)
    codes = _ancestor_codes(potential)
    return Provenance(
        potential=potential.uuid,
        processes=tuple(_summaries(processes, codes)),
        codes=tuple(sorted({label for label, _ in codes})),
        computers=tuple(sorted({row["computer"] for row in processes if row["computer"]})),
        **_ancestor_structures(potential),
        settings=_ancestor_settings(potential),
    )


def _ancestor_processes(node: orm.Node) -> list[dict[str, Any]]:
    query = orm.QueryBuilder()
    query.append(orm.Node, filters={"uuid": node.uuid}, tag="node")
    query.append(
        orm.CalculationNode,
        with_descendants="node",
        tag="process",
        project=["uuid", "ctime", "attributes.process_label"],
    )
    query.append(orm.Computer, with_node="process", outerjoin=True, project=["label"])
    query.distinct()
    rows = [dict(zip(("uuid", "ctime", "label", "computer"), row, strict=True)) for row in query.iterall()]
    return sorted(rows, key=lambda row: row["ctime"])


def _ancestor_codes(node: orm.Node) -> list[tuple[str, str]]:
    """Return (code label, uuid of the process that ran it)."""
    query = orm.QueryBuilder()
    query.append(orm.Node, filters={"uuid": node.uuid}, tag="node")
    query.append(orm.CalculationNode, with_descendants="node", tag="process", project=["uuid"])
    # AbstractCode has no type of its own to ask for.
    query.append(
        orm.Data,
        with_outgoing="process",
        filters={"node_type": {"like": "data.core.code.%"}},
        project=["label", "uuid"],
    )
    query.distinct()
    return [(f"{label} ({uuid[:8]})", process) for process, label, uuid in query.iterall()]


def _summaries(processes: list[dict[str, Any]], codes: list[tuple[str, str]]) -> list[ProcessSummary]:
    code_of = {process: label for label, process in codes}
    order = list(dict.fromkeys(row["label"] for row in processes))
    summaries = []
    for label in order:
        rows = [row for row in processes if row["label"] == label]
        summaries.append(
            ProcessSummary(
                label=label,
                count=len(rows),
                codes=tuple(sorted({code_of[row["uuid"]] for row in rows if row["uuid"] in code_of})),
                computers=tuple(sorted({row["computer"] for row in rows if row["computer"]})),
                uuids=tuple(row["uuid"] for row in rows),
            )
        )
    return summaries


def _ancestor_structures(node: orm.Node) -> dict[str, Any]:
    query = orm.QueryBuilder()
    query.append(orm.Node, filters={"uuid": node.uuid}, tag="node")
    query.append(
        orm.TrajectoryData,
        with_descendants="node",
        tag="structures",
        project=["uuid", "label", "attributes.array|steps"],
    )
    query.append(
        orm.CalculationNode,
        with_outgoing="structures",
        filters={"attributes.process_label": GENERATED_BY},
    )
    query.distinct()
    rows = query.all()
    return {
        "structures": {uuid: label for uuid, label, _ in rows},
        "n_structures_generated": sum(shape[0] for _, _, shape in rows),
    }


def _ancestor_settings(node: orm.Node) -> dict[str, dict[str, Any]]:
    """Return the settings the calculations behind a node were given, by process and input."""
    query = orm.QueryBuilder()
    query.append(orm.Node, filters={"uuid": node.uuid}, tag="node")
    query.append(orm.CalculationNode, with_descendants="node", tag="process", project=["attributes.process_label"])
    query.append(
        orm.Dict,
        with_outgoing="process",
        edge_filters={"label": {"in": ["settings", "method"]}},
        project=["attributes"],
    )
    return dict(query.iterall())
