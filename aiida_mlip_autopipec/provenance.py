"""Where a potential came from: few QueryBuilder queries, no more for more structures."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aiida import orm

GENERATED_BY, SELECTED_BY = "generate_structures", "take_selected"

POTENTIAL = "potential.yace"
"""Name of the file of a potential."""


@dataclass(frozen=True)
class ProcessSummary:
    """The processes of one kind behind a potential; `seconds` is the sum of their times from start to end, waiting included."""

    label: str
    count: int
    codes: tuple[str, ...]
    computers: tuple[str, ...]
    started: str
    seconds: float
    uuids: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True)
class Provenance:
    """What stands behind a potential: processes by kind in order of time, codes, computers, structures, settings.

    All that were generated are labelled unless some were selected of them.
    """

    potential: str
    processes: tuple[ProcessSummary, ...]
    codes: tuple[str, ...]
    computers: tuple[str, ...]
    structures: dict[str, str]
    n_structures_generated: int
    n_structures_selected: int | None
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
            "n_structures_selected": self.n_structures_selected,
            "settings": self.settings,
        }


def trace(potential: orm.Node) -> Provenance:
    """Return what stands behind a potential (or any other node a process of ours made), from the generator on.

    One query for each generation of processes, three about what was found: no more for more structures.
    """
    processes = _ancestor_processes(potential)
    codes = _codes_of(processes)
    return Provenance(
        potential=potential.uuid,
        processes=tuple(_summaries(processes, codes)),
        codes=tuple(sorted({label for label, _ in codes})),
        computers=tuple(sorted({row["computer"] for row in processes if row["computer"]})),
        **_structures_of(processes),
        settings=_settings_of(processes),
    )


def _ancestor_processes(node: orm.Node) -> list[dict[str, Any]]:
    """Return the calculations behind a node, by one query for each generation of them.

    AiiDA's own question for all ancestors takes PostgreSQL minutes where there are many.
    """
    query = orm.QueryBuilder().append(orm.Node, filters={"uuid": node.uuid}, tag="node")
    generation = _processes(query, with_outgoing="node")
    found: dict[int, dict[str, Any]] = {}
    while generation := [row for row in generation if row["id"] not in found]:
        found |= {row["id"]: row for row in generation}
        query = orm.QueryBuilder()
        query.append(orm.CalculationNode, filters={"id": {"in": [row["id"] for row in generation]}}, tag="child")
        query.append(orm.Data, with_outgoing="child", tag="input")
        generation = _processes(query, with_outgoing="input")
    return sorted(found.values(), key=lambda row: (row["ctime"], row["id"]))


def _processes(query: orm.QueryBuilder, **joining: str) -> list[dict[str, Any]]:
    query.append(
        orm.CalculationNode,
        tag="process",
        project=["id", "uuid", "ctime", "mtime", "attributes.process_label"],
        **joining,
    )
    query.append(orm.Computer, with_node="process", outerjoin=True, project=["label"])
    query.distinct()
    names = ("id", "uuid", "ctime", "mtime", "label", "computer")
    return [dict(zip(names, row, strict=True)) for row in query.iterall()]


def _codes_of(processes: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return (code label, uuid of the process that ran it)."""
    jobs = [row["id"] for row in processes if row["computer"]]
    if not jobs:
        return []
    query = orm.QueryBuilder()
    query.append(orm.CalculationNode, filters={"id": {"in": jobs}}, tag="process", project=["uuid"])
    query.append(orm.Data, with_outgoing="process", edge_filters={"label": "code"}, project=["label", "uuid"])
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
                started=rows[0]["ctime"].isoformat(timespec="seconds"),
                seconds=sum((row["mtime"] - row["ctime"]).total_seconds() for row in rows),
                uuids=tuple(row["uuid"] for row in rows),
            )
        )
    return summaries


def _structures_of(processes: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the structures that the generators among the processes made, and how many were selected of them."""
    makers = [row["id"] for row in processes if row["label"] in (GENERATED_BY, SELECTED_BY)]
    if not makers:
        return {"structures": {}, "n_structures_generated": 0, "n_structures_selected": None}
    query = orm.QueryBuilder()
    query.append(orm.CalculationNode, filters={"id": {"in": makers}}, tag="maker", project=["attributes.process_label"])
    query.append(orm.TrajectoryData, with_incoming="maker", project=["uuid", "label", "attributes.array|steps"])
    rows = query.all()
    selected = [shape[0] for made_by, _, _, shape in rows if made_by == SELECTED_BY]
    return {
        "structures": {uuid: label for made_by, uuid, label, _ in rows if made_by == GENERATED_BY},
        "n_structures_generated": sum(shape[0] for made_by, _, _, shape in rows if made_by == GENERATED_BY),
        "n_structures_selected": sum(selected) if selected else None,
    }


def _settings_of(processes: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the settings that the newest calculation of each kind was given."""
    newest = {row["label"]: row["id"] for row in processes}
    if not newest:
        return {}
    query = orm.QueryBuilder()
    query.append(
        orm.CalculationNode,
        filters={"id": {"in": list(newest.values())}},
        tag="process",
        project=["attributes.process_label"],
    )
    query.append(
        orm.Dict,
        with_outgoing="process",
        edge_filters={"label": {"in": ["settings", "method"]}},
        project=["attributes"],
    )
    return dict(query.iterall())


@dataclass(frozen=True)
class PotentialSummary:
    """A potential in a list: test errors are root mean squares, in meV/atom and eV/Å."""

    pk: int
    uuid: str
    created: datetime
    elements: tuple[str, ...]
    n_functions: int
    test_errors: tuple[float, float] | None


def find_potentials() -> list[PotentialSummary]:
    """Return all potentials of the profile, newest first, by one query."""
    return _potentials(orm.QueryBuilder())


def potentials_behind_which(node: orm.Node) -> list[PotentialSummary]:
    """Return the potentials that a node stands behind, newest first, by one query.

    :param node: structures, a calculation, a code, a pseudopotential: anything.
    """
    query = orm.QueryBuilder()
    query.append(orm.Node, filters={"uuid": node.uuid}, tag="origin")
    return _potentials(query, with_ancestors="origin")


def _potentials(query: orm.QueryBuilder, **joining: str) -> list[PotentialSummary]:
    metrics = [f"attributes.{key}" for key in ("elements", "n_functions", "test")]
    query.append(
        orm.SinglefileData,
        filters={"attributes.filename": POTENTIAL},
        tag="potential",
        project=["id", "uuid", "ctime"],
        **joining,
    )
    query.append(orm.CalculationNode, with_outgoing="potential", tag="fit")
    query.append(orm.Dict, with_incoming="fit", edge_filters={"label": "metrics"}, project=metrics)
    query.order_by({"potential": {"id": "desc"}})
    query.distinct()
    return [
        PotentialSummary(pk, uuid, created, tuple(elements), n_functions, _rms(test))
        for pk, uuid, created, elements, n_functions, test in query.iterall()
    ]


def _rms(errors: dict[str, float] | None) -> tuple[float, float] | None:
    return (errors["energy_rmse_meV_per_atom"], errors["force_rmse_eV_per_A"]) if errors else None


def differences(first: orm.Node, second: orm.Node) -> dict[str, tuple[Any, Any]]:
    """Return what differs in what stands behind two potentials: by a dotted key, the value of each."""
    one, other = (_flat(_comparable(trace(node), node)) for node in (first, second))
    return {
        key: (one.get(key), other.get(key))
        for key in sorted(one.keys() | other.keys())
        if one.get(key) != other.get(key)
    }


def _comparable(origin: Provenance, potential: orm.Node) -> dict[str, Any]:
    query = orm.QueryBuilder().append(orm.Node, filters={"uuid": potential.uuid}, tag="potential")
    query.append(orm.CalculationNode, with_outgoing="potential", tag="fit")
    query.append(orm.Dict, with_incoming="fit", edge_filters={"label": "metrics"}, project=["attributes"])
    metrics: dict[str, Any] = next((content for (content,) in query.iterall()), {})
    return {
        "settings": origin.settings,
        "processes": {process.label.split("@")[0]: process.count for process in origin.processes},
        "codes": list(origin.codes),
        "computers": list(origin.computers),
        "structures": origin.n_structures_generated,
        "metrics": {
            key: metrics.get(key) for key in ("train", "test", "n_functions", "cutoff_A", "engine", "versions")
        },
    }


def _flat(content: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(content, dict):
        return {prefix: content}
    return {
        key: value
        for name, item in content.items()
        for key, value in _flat(item, f"{prefix}.{name}".lstrip(".")).items()
    }
