"""Labels that exist already: found by structure and method before anything is submitted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from aiida.engine import calcfunction
from aiida.orm import Dict, QueryBuilder, TrajectoryData

from ..dataset.identity import is_same_structure, method_id, structure_key
from ..dataset.trajectory import KEYS, METHOD_ID, attach_labels, to_atoms, to_trajectories

Matches = dict[str, list[list[int]]]
"""Frames whose label exists: by the uuid of the trajectory that holds it, pairs of the wanted frame and the step there."""


def find_labels(structures: Mapping[str, TrajectoryData], method: Mapping[str, object]) -> dict[str, Matches]:
    """Return which structures this profile holds a label of, by the label of their trajectory.

    One query for all: keys of structures stand among the attributes of labels. What it finds is then compared atom by atom.
    """
    wanted = {
        label: {structure_key(atoms): step for step, atoms in enumerate(to_atoms(node))}
        for label, node in structures.items()
    }
    query = QueryBuilder().append(
        TrajectoryData,
        filters={f"attributes.{METHOD_ID}": method_id(method), "label": {"in": list(structures)}},
        project=["label", "uuid", f"attributes.{KEYS}"],
        tag="labels",
    )
    query.order_by({"labels": {"id": "asc"}})
    found: dict[str, Matches] = defaultdict(lambda: defaultdict(list))
    for label, uuid, keys in query.iterall():
        for stored_step, key in enumerate(keys or ()):
            step = wanted[label].pop(key, None)
            if step is not None:
                found[label][uuid].append([step, stored_step])
    return {label: dict(matches) for label, matches in found.items()}


@calcfunction
def reuse_labels(method: Dict, matches: Dict, **nodes: TrajectoryData) -> dict[str, TrajectoryData]:
    """Give structures the labels that exist, and tell which still need one.

    :param matches: as :func:`find_labels` returns them.
    :param nodes: `structures_<label>`, and `labels_<uuid without dashes>` for each trajectory that labels are taken from.
    :returns: `labelled__<label>` and `remaining__<label>`, frames that name the wanted structure as their source.
    """
    wanted = {name.removeprefix("structures_"): node for name, node in nodes.items() if name.startswith("structures_")}
    labelled, remaining = [], []
    for label, trajectory in wanted.items():
        frames = to_atoms(trajectory)
        open_steps = set(range(len(frames)))
        for step, atoms in enumerate(frames):
            atoms.info.update(source_uuid=trajectory.uuid, source_step=step)
        for uuid, pairs in matches.get_dict().get(label, {}).items():
            stored = to_atoms(nodes[f"labels_{uuid.replace('-', '')}"], [stored_step for _, stored_step in pairs])
            for (step, _), twin in zip(pairs, stored, strict=True):
                if is_same_structure(frames[step], twin):
                    frames[step].info["calculation"] = twin.info["calculation"]
                    labelled.append(attach_labels(frames[step], twin.calc.results))
                    open_steps.discard(step)
        remaining += [frames[step] for step in sorted(open_steps)]
    outputs = {f"labelled__{label}": node for label, node in to_trajectories(labelled, method.get_dict()).items()}
    return outputs | {f"remaining__{label}": node for label, node in to_trajectories(remaining).items()}
