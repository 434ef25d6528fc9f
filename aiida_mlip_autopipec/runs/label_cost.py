"""Time of the labels of a run, from the reports of the jobs that computed them."""

from __future__ import annotations

from collections.abc import Iterable

from aiida import orm
from ase import Atoms

from ..oracle.calculation import AseLabelCalculation


def label_seconds_per_atom(frames: Iterable[Atoms]) -> float | None:
    """Return the mean wall time (s) of a label, for each atom, including the start of the jobs.

    :param frames: labelled structures of a dataset, also with reused labels.
    :returns: None if no label is from a job that records its time.
    """
    by_calculation: dict[str, list[int]] = {}
    for atoms in frames:
        by_calculation.setdefault(str(atoms.info.get("calculation")), []).append(len(atoms))
    query = orm.QueryBuilder()
    query.append(
        AseLabelCalculation, filters={"uuid": {"in": list(by_calculation)}}, tag="calculation", project=["uuid"]
    )
    query.append(
        orm.Dict,
        with_incoming="calculation",
        edge_filters={"label": "report"},
        project=["attributes.wall_time_s", "attributes.labelled"],
    )
    seconds, atoms_in_all = 0.0, 0
    for uuid, wall_time, labelled in query.all():
        if wall_time and labelled:
            sizes = by_calculation[uuid]
            seconds += wall_time * len(sizes) / labelled
            atoms_in_all += sum(sizes)
    return seconds / atoms_in_all if atoms_in_all else None
