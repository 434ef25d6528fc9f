"""Stored datasets: named AiiDA groups of trajectories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from aiida import orm
from aiida.common.exceptions import MultipleObjectsError, NotExistent
from aiida.manage import get_manager
from ase import Atoms

from .trajectory import METHOD, to_trajectories

OWN_METHOD = {"type": "own data"}
"""The method of labels that the user supplied."""


class DatasetGroup(orm.Group):
    """A dataset: a group of labelled trajectories."""


@dataclass(frozen=True)
class StoredDataset:
    """Summary of a stored dataset."""

    pk: int
    name: str
    n_structures: int
    elements: tuple[str, ...]
    method: str
    created: datetime


def store_dataset(structures: Sequence[Atoms], name: str, description: str = "") -> DatasetGroup:
    """Store labelled structures under a name, in one transaction.

    :param structures: as :func:`~.intake.intake` returns them.
    :raises ValueError: if a dataset of that name exists.
    """
    if orm.QueryBuilder().append(DatasetGroup, filters={"label": name}).count():
        raise ValueError(f"a dataset '{name}' exists already (mlip-auto list); choose another --label")
    trajectories = to_trajectories(structures, OWN_METHOD)
    with get_manager().get_profile_storage().transaction():
        for trajectory in trajectories.values():
            trajectory.store()
        group = DatasetGroup(label=name, description=description).store()
        group.add_nodes(list(trajectories.values()))
    return group


def find_datasets() -> list[StoredDataset]:
    """Return the stored datasets, newest first."""
    query = orm.QueryBuilder()
    query.append(DatasetGroup, tag="group", project=["id", "label", "time"])
    query.append(
        orm.TrajectoryData,
        with_group="group",
        project=["attributes.symbols", "attributes.array|steps", f"attributes.{METHOD}"],
    )
    found: dict[int, StoredDataset] = {}
    for pk, name, created, symbols, shape, method in query.iterall():
        previous = found.get(pk)
        elements = {*symbols, *(previous.elements if previous else ())}
        count = shape[0] + (previous.n_structures if previous else 0)
        found[pk] = StoredDataset(pk, name, count, tuple(sorted(elements)), _title(method), created)
    return sorted(found.values(), key=lambda dataset: dataset.created, reverse=True)


def _title(method: Mapping[str, object] | None) -> str:
    return str((method or {}).get("calculator") or (method or {}).get("type") or "unknown")


def load_dataset(identifier: str) -> dict[str, orm.TrajectoryData]:
    """Return the trajectories of a dataset by unique name.

    :param identifier: the name, PK or UUID of a stored dataset, or the PK or UUID of a trajectory or of a run, which
        gives the dataset of that run.
    :raises ValueError: if there is no such dataset, or the node has none.
    """
    query = orm.QueryBuilder().append(DatasetGroup, filters={"label": identifier})
    group = query.first(flat=True)
    if group is None:
        group = _group_by_id(identifier)
    if group is not None:
        return {f"{node.label}_{node.pk}": node for node in group.nodes}
    try:
        node = orm.load_node(identifier)
    except (NotExistent, MultipleObjectsError, ValueError):
        names = ", ".join(dataset.name for dataset in find_datasets()) or "none"
        raise ValueError(f"'{identifier}' is not a dataset, run or trajectory (datasets: {names})") from None
    if isinstance(node, orm.TrajectoryData):
        return {node.label or f"trajectory_{node.pk}": node}
    if isinstance(node, orm.WorkChainNode) and "dataset" in node.outputs:
        return dict(node.outputs.dataset.items())
    if isinstance(node, orm.WorkChainNode) and "dataset" in node.inputs:
        return dict(node.inputs.dataset.items())
    raise ValueError(f"'{identifier}' is a {type(node).__name__} without a dataset")


def _group_by_id(identifier: str) -> DatasetGroup | None:
    """Return the dataset with a PK or UUID, None if there is none; a node with the same PK takes precedence."""
    if not identifier.isdecimal():
        try:
            uuid = str(UUID(identifier))
        except ValueError:
            return None
        return orm.QueryBuilder().append(DatasetGroup, filters={"uuid": uuid}).first(flat=True)
    if orm.QueryBuilder().append(orm.Node, filters={"id": int(identifier)}).count():
        return None
    return orm.QueryBuilder().append(DatasetGroup, filters={"id": int(identifier)}).first(flat=True)
