"""The runs and datasets whose structures and labels are in a potential."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from aiida import orm

from .calls import COUNT_PROJECTIONS, structure_count
from .origins import origins_of_given_structures
from .walks import chunks

GENERATED_BY, SELECTED_BY, REUSED_BY = "generate_structures", "take_selected", "reuse_labels"


@dataclass(frozen=True)
class RunSource:
    """What a run contributed: its generated structures, and the user's structures that it started from.

    :ivar selected: None if no selection was made.
    """

    pk: int
    uuid: str
    label: str
    generated: int
    selected: int | None
    given: tuple[str, ...]


@dataclass(frozen=True)
class DatasetSource:
    """A dataset that was imported from files; without name if it is not stored as a dataset."""

    name: str
    structures: int
    files: str


@dataclass(frozen=True)
class Sources:
    """Where the structures and labels of a potential come from.

    :ivar run: the run that made the potential; None if it is not in this profile.
    :ivar earlier: the runs whose labels it reused, or whose dataset it includes.
    :ivar reused: the number of labels that it reused.
    """

    run: RunSource | None
    earlier: tuple[RunSource, ...]
    reused: int
    datasets: tuple[DatasetSource, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain values, for JSON."""
        return asdict(self)


def sources(processes: Sequence[Mapping[str, Any]]) -> Sources:
    """Return the runs and datasets behind a potential.

    :param processes: the calculations behind it in order of time, each with `id`, `label` and `run`, the PK of its run or None.
    """
    own = processes[-1]["run"] if processes else None
    runs = _run_sources(processes)
    reusing = [row["id"] for row in processes if row["label"] == REUSED_BY and row["run"] == own]
    return Sources(
        run=runs.get(own) if own is not None else None,
        earlier=tuple(run for pk, run in sorted(runs.items()) if pk != own),
        reused=sum(count for _, label, _, _, count in _created(reusing) if label.startswith("labelled__")),
        datasets=tuple(_datasets([row["id"] for row in processes if row["label"] != GENERATED_BY])),
    )


def _run_sources(processes: Sequence[Mapping[str, Any]]) -> dict[int, RunSource]:
    makers = {row["id"]: row for row in processes if row["label"] in (GENERATED_BY, SELECTED_BY)}
    counts = [(makers[pk], count) for pk, _, _, _, count in _created(list(makers))]
    pks = sorted({row["run"] for row in processes if row["run"] is not None})
    found = {}
    for chunk in chunks(pks):
        query = orm.QueryBuilder().append(
            orm.ProcessNode, filters={"id": {"in": chunk}}, project=["id", "uuid", "label", "attributes.process_label"]
        )
        for pk, uuid, label, process_label in query.iterall():
            own = [(row["label"], count) for row, count in counts if row["run"] == pk]
            selected = [count for maker, count in own if maker == SELECTED_BY]
            found[pk] = RunSource(
                pk,
                uuid,
                label or process_label,
                generated=sum(count for maker, count in own if maker == GENERATED_BY),
                selected=sum(selected) if selected else None,
                given=origins_of_given_structures(
                    [row["id"] for row in makers.values() if row["run"] == pk and row["label"] == GENERATED_BY]
                ),
            )
    return found


def _created(pks: Sequence[int]) -> list[tuple[int, str, str, str, int]]:
    """Return PK of the calculation, link label, UUID, label and number of structures of the structures that were created."""
    rows = []
    for chunk in chunks(pks):
        query = orm.QueryBuilder()
        query.append(orm.CalculationNode, filters={"id": {"in": chunk}}, tag="maker", project=["id"])
        query.append(
            orm.Data, with_incoming="maker", project=["uuid", "label", *COUNT_PROJECTIONS], edge_project=["label"]
        )
        rows += [
            (pk, link, uuid, label, structure_count(*shape))
            for pk, uuid, label, *shape, link in query.iterall()
            if any(shape)
        ]
    return rows


def _datasets(pks: Sequence[int]) -> Iterator[DatasetSource]:
    """Yield the datasets of trajectories and files that calculations read and that no calculation made."""
    # It imports ASE, which the display of a run does not need.
    from ..dataset.library import DatasetGroup

    counts: dict[int, int] = {}
    names: dict[int, tuple[str, str]] = {}
    for chunk in chunks(pks):
        query = orm.QueryBuilder().append(orm.CalculationNode, filters={"id": {"in": chunk}}, tag="reader")
        query.append(
            (orm.TrajectoryData, orm.SinglefileData),
            with_outgoing="reader",
            project=["id", "label", "attributes.filename", *COUNT_PROJECTIONS],
        )
        for pk, label, filename, *shape in query.iterall():
            if any(shape):
                counts[pk] = structure_count(*shape)
                if filename:
                    names[pk] = ("", label)
    made: set[int] = set()
    for chunk in chunks(list(counts)):
        query = orm.QueryBuilder().append(orm.Data, filters={"id": {"in": chunk}}, tag="read", project=["id"])
        query.append(orm.CalculationNode, with_outgoing="read")
        made.update(query.all(flat=True))
        query = orm.QueryBuilder().append(orm.TrajectoryData, filters={"id": {"in": chunk}}, tag="read", project=["id"])
        query.append(DatasetGroup, with_node="read", project=["label", "description"])
        names |= {pk: (name, files) for pk, name, files in query.iterall()}
    of_name: dict[tuple[str, str], int] = {}
    for pk in counts.keys() - made:
        key = names.get(pk, ("", ""))
        of_name[key] = of_name.get(key, 0) + counts[pk]
    for (name, files), count in sorted(of_name.items()):
        yield DatasetSource(name, count, files)
