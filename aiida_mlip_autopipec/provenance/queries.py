"""Provenance of a potential, by a number of queries that does not depend on the number of structures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aiida import orm

from .calls import COUNT_PROJECTIONS, structure_count
from .origins import origins_of_given_structures
from .sources import GENERATED_BY, SELECTED_BY, Sources, sources
from .teachers import OF_TEACHER, calculations_of_teachers
from .walks import CALL_LINKS, DATA_LINKS, Call, calls_above, calls_of, follow

POTENTIAL = "potential.yace"
"""Name of the file of a potential."""


@dataclass(frozen=True)
class ProcessSummary:
    """The processes of one kind behind a potential; `seconds` is the sum of their durations, with waiting."""

    label: str
    count: int
    codes: tuple[str, ...]
    computers: tuple[str, ...]
    started: str
    seconds: float
    uuids: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True)
class Provenance:
    """Provenance of a potential: processes by kind in order of time, codes, computers, structures, settings.

    The structures are those of the run that made the potential. If `n_structures_selected` is None, all generated structures
    were labelled.

    :ivar pks: PK of each process by UUID, and `runs` the PK of its run.
    """

    potential: str
    processes: tuple[ProcessSummary, ...]
    codes: tuple[str, ...]
    computers: tuple[str, ...]
    structures: dict[str, str]
    n_structures_generated: int
    n_structures_selected: int | None
    settings: dict[str, dict[str, Any]]
    given: tuple[str, ...] = ()
    """The origins of the user's structures."""
    sources: Sources = field(default_factory=lambda: Sources(None, (), 0, ()))
    pks: dict[str, int] = field(default_factory=dict, repr=False)
    runs: dict[str, int] = field(default_factory=dict, repr=False)

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON, without `sources`, `pks` and `runs`."""
        return {
            "potential": self.potential,
            "processes": [vars(process) for process in self.processes],
            "codes": list(self.codes),
            "computers": list(self.computers),
            "given": list(self.given),
            "structures": self.structures,
            "n_structures_generated": self.n_structures_generated,
            "n_structures_selected": self.n_structures_selected,
            "settings": self.settings,
        }


def trace(potential: orm.Node) -> Provenance:
    """Return the provenance of a potential, or of any other node that a process of this package created.

    Needs a few queries for each generation of processes, whatever the number of structures. Processes that only a teacher
    needed have :data:`~.teachers.OF_TEACHER` in their label; their structures are not counted.
    """
    processes = _ancestor_processes(potential)
    calls = calls_of([row["id"] for row in processes])
    processes = [{**row, "run": _run_of(row["id"], calls)} for row in _mark_teachers(processes, calls)]
    own = [row for row in processes if row["run"] == processes[-1]["run"]]
    codes = _codes_of(processes)
    return Provenance(
        potential=potential.uuid,
        processes=tuple(_summaries(processes, codes)),
        codes=tuple(sorted({label for label, _ in codes})),
        computers=tuple(sorted({row["computer"] for row in processes if row["computer"]})),
        **_structures_of(own),
        settings=_settings_of(processes),
        given=origins_of_given_structures([row["id"] for row in own if row["label"] == GENERATED_BY]),
        sources=sources(processes),
        pks={row["uuid"]: row["id"] for row in processes},
        runs={row["uuid"]: row["run"] for row in processes if row["run"] is not None},
    )


def _ancestor_processes(node: orm.Node) -> list[dict[str, Any]]:
    """Return the calculations behind a node, by one query for each generation.

    AiiDA's query of all ancestors takes minutes in PostgreSQL if there are many.
    """
    query = orm.QueryBuilder().append(orm.Node, filters={"uuid": node.uuid}, tag="node")
    generation = _processes(query, with_outgoing="node")
    found = {row["id"]: row for row in [*generation, *_ancestors_of([row["id"] for row in generation])]}
    return sorted(found.values(), key=lambda row: (row["ctime"], row["id"]))


def _ancestors_of(calculations: list[int]) -> list[dict[str, Any]]:
    """Return the calculations behind the inputs of some calculations, by one query for each generation."""
    found: dict[int, dict[str, Any]] = {}
    generation = calculations
    while generation:
        query = orm.QueryBuilder()
        query.append(orm.CalculationNode, filters={"id": {"in": generation}}, tag="child")
        query.append(orm.Data, with_outgoing="child", tag="input")
        rows = [row for row in _processes(query, with_outgoing="input") if row["id"] not in found]
        found |= {row["id"]: row for row in rows}
        generation = [row["id"] for row in rows]
    return list(found.values())


def _run_of(calculation: int, calls: Mapping[int, Call]) -> int | None:
    """Return the PK of the run of a calculation, which is the topmost caller; None if nothing called it."""
    return next((call.caller for call in reversed(list(calls_above(calculation, calls)))), None)


def _mark_teachers(processes: list[dict[str, Any]], calls: Mapping[int, Call]) -> list[dict[str, Any]]:
    """Return the processes, with a mark in the label of those of a teacher and of those behind them."""
    of_teachers = calculations_of_teachers([row["id"] for row in processes], calls)
    if not of_teachers:
        return processes
    of_teachers |= {row["id"] for row in _ancestors_of(sorted(of_teachers))}
    if all(row["id"] in of_teachers for row in processes):
        # The potential of the teacher itself.
        return processes
    return [{**row, "label": f"{row['label']}{OF_TEACHER}"} if row["id"] in of_teachers else row for row in processes]


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
    """Return the generated structures, and the number of selected ones."""
    generators = [row["id"] for row in processes if row["label"] in (GENERATED_BY, SELECTED_BY)]
    if not generators:
        return {"structures": {}, "n_structures_generated": 0, "n_structures_selected": None}
    query = orm.QueryBuilder()
    query.append(
        orm.CalculationNode, filters={"id": {"in": generators}}, tag="maker", project=["attributes.process_label"]
    )
    query.append(orm.Data, with_incoming="maker", project=["uuid", "label", *COUNT_PROJECTIONS])
    rows = [(*row[:3], structure_count(*row[3:])) for row in query.all() if any(row[3:])]
    selected = [count for process_label, _, _, count in rows if process_label == SELECTED_BY]
    return {
        "structures": {uuid: label for process_label, uuid, label, _ in rows if process_label == GENERATED_BY},
        "n_structures_generated": sum(count for process_label, _, _, count in rows if process_label == GENERATED_BY),
        "n_structures_selected": sum(selected) if selected else None,
    }


def _settings_of(processes: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the settings of the newest calculation of each kind."""
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
    """Summary of a potential; `test_errors` are the RMSE of energies (meV/atom) and of forces (eV/Å).

    :ivar of_teacher: whether it was fitted to the labels of a teacher.
    """

    pk: int
    uuid: str
    created: datetime
    elements: tuple[str, ...]
    n_functions: int
    test_errors: tuple[float, float] | None
    of_teacher: bool


def find_potentials() -> list[PotentialSummary]:
    """Return the potentials that fits of this profile created, newest first."""
    query = orm.QueryBuilder()
    metrics = [f"attributes.{key}" for key in ("elements", "n_functions", "test")]
    query.append(
        orm.SinglefileData,
        filters={"attributes.filename": POTENTIAL},
        tag="potential",
        project=["id", "uuid", "ctime"],
    )
    query.append(orm.CalculationNode, with_outgoing="potential", tag="fit", project=["id"])
    query.append(orm.Dict, with_incoming="fit", edge_filters={"label": "metrics"}, project=metrics)
    query.order_by({"potential": {"id": "desc"}})
    query.distinct()
    rows = query.all()
    fits = [row[3] for row in rows]
    of_teachers = calculations_of_teachers(fits, calls_of(fits))
    return [
        PotentialSummary(pk, uuid, created, tuple(elements), n_functions, _rms(test), fit in of_teachers)
        for pk, uuid, created, fit, elements, n_functions, test in rows
    ]


def dependent_potentials(node: orm.Node) -> list[PotentialSummary]:
    """Return the potentials that depend on a node, newest first.

    :param node: any node, such as structures, a calculation, a code or a pseudopotential; a potential depends on itself, and
        the outputs of the calculations of a run depend on the run.
    """
    descendants = _descendants([node.pk, *_called(node)])
    return [potential for potential in find_potentials() if potential.pk in descendants]


def _called(node: orm.Node) -> set[int]:
    """Return the PKs of the processes that a run called, and of those that these called."""
    return follow([node.pk], CALL_LINKS) if isinstance(node, orm.WorkflowNode) else set()


def _descendants(pks: list[int]) -> set[int]:
    """Return the PKs of nodes and of the calculations and data that depend on them, generation by generation.

    AiiDA's query of all descendants follows every path, which takes a minute for the 500 nodes of an active learning
    run.
    """
    return {*pks, *follow(pks, DATA_LINKS)}


def _rms(errors: dict[str, float] | None) -> tuple[float, float] | None:
    return (errors["energy_rmse_meV_per_atom"], errors["force_rmse_eV_per_A"]) if errors else None


def differences(first: orm.Node, second: orm.Node) -> dict[str, tuple[Any, Any]]:
    """Return the differences in the provenance of two potentials: both values by dotted key."""
    left, right = (_flat(_comparable(trace(node), node)) for node in (first, second))
    return {
        key: (left.get(key), right.get(key))
        for key in sorted(left.keys() | right.keys())
        if left.get(key) != right.get(key)
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
        "given": list(origin.given),
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
