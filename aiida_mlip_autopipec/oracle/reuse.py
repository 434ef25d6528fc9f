"""Reuse of labels: existing ones are found by structure and method before anything is submitted."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from aiida.engine import calcfunction
from aiida.orm import Dict, QueryBuilder, TrajectoryData, load_node

from ..dataset.identity import is_same_structure, method_id, structure_key
from ..dataset.trajectory import METHOD_ID, STRUCTURE_KEYS, attach_labels, to_atoms, to_trajectories
from .identity import IDENTITY, is_the_same_ase, unchanged_since

Matches = dict[str, list[list[int]]]
"""Frames with an existing label: pairs (wanted step, stored step) by the UUID of the stored trajectory."""


def structure_keys(structures: Mapping[str, TrajectoryData]) -> dict[str, list[str]]:
    """Return the structure key of each frame, by the label of its trajectory."""
    return {label: [structure_key(atoms) for atoms in to_atoms(node)] for label, node in structures.items()}


def find_labels(keys: Mapping[str, Sequence[str]], method: str) -> dict[str, Matches]:
    """Return the structures that have a label in this profile, by the label of their trajectory.

    A single query suffices, since labelled trajectories have the keys of their structures as an attribute. Different structures
    may share a key.

    :param keys: as returned by :func:`structure_keys`.
    :param method: hash of the method.
    """
    wanted: dict[str, dict[str, list[int]]] = {label: defaultdict(list) for label in keys}
    for label, frame_keys in keys.items():
        for step, key in enumerate(frame_keys):
            wanted[label][key].append(step)
    query = QueryBuilder().append(
        TrajectoryData,
        filters={f"attributes.{METHOD_ID}": method, "label": {"in": list(keys)}},
        project=["label", "uuid", f"attributes.{STRUCTURE_KEYS}"],
        tag="labels",
    )
    query.order_by({"labels": {"id": "asc"}})
    found: dict[str, Matches] = defaultdict(lambda: defaultdict(list))
    for label, uuid, stored in query.iterall():
        for stored_step, key in enumerate(stored or ()):
            for step in wanted[label].pop(key, ()):
                found[label][uuid].append([step, stored_step])
    return {label: dict(matches) for label, matches in found.items()}


def find_older_labels(keys: Mapping[str, Sequence[str]], method: Mapping[str, Any]) -> dict[str, Matches]:
    """Return structures with a label of version 0.1.0, whose methods have no identity, that the same method computed.

    That is so if ASE alone computes the labels and its version was the same, or if the executable of pw.x was last changed
    before the label was stored.

    :param keys: as returned by :func:`structure_keys`.
    :param method: with its identity.
    """
    older = {name: value for name, value in method.items() if name != IDENTITY}
    if IDENTITY not in method:
        return {}
    found = find_labels(keys, method_id(older))
    # Determined on a computer, so only once for all labels.
    since = unchanged_since(method) if found and method.get("type") != "ase" else math.inf
    return {
        label: same
        for label, matches in found.items()
        if (same := {uuid: steps for uuid, steps in matches.items() if _is_of(load_node(uuid), method, since)})
    }


def _is_of(labels: TrajectoryData, method: Mapping[str, Any], since: float) -> bool:
    """Tell whether the method, whose executable is unchanged since a time, computed labels of version 0.1.0."""
    if method.get("type") == "ase":
        job = labels.creator
        report = job.outputs.report.get_dict() if job is not None and "report" in job.outputs else {}
        return is_the_same_ase(method, report.get("versions", {}))
    return bool(labels.ctime.timestamp() > since)


@calcfunction
def reuse_labels(method: Dict, matches: Dict, later: Dict, **nodes: TrajectoryData) -> dict[str, TrajectoryData]:
    """Attach existing labels to structures, and divide the rest into structures to compute now and to look up later.

    :param matches: as returned by :func:`find_labels`.
    :param later: steps to look up later, by label.
    :param nodes: `structures_<label>`, and `labels_<uuid without dashes>` for each trajectory with labels to reuse.
    :returns: `labelled__<label>`, `remaining__<label>` and `later__<label>`; the source of a frame is the given structure.
    """
    wanted = {name.removeprefix("structures_"): node for name, node in nodes.items() if name.startswith("structures_")}
    labelled, remaining, postponed = [], [], []
    for label, trajectory in wanted.items():
        frames = to_atoms(trajectory)
        open_steps = set(range(len(frames)))
        for step, atoms in enumerate(frames):
            atoms.info.update(source_uuid=trajectory.uuid, source_step=step)
        for uuid, pairs in matches.get_dict().get(label, {}).items():
            stored = to_atoms(nodes[f"labels_{uuid.replace('-', '')}"], [stored_step for _, stored_step in pairs])
            for (step, _), match in zip(pairs, stored, strict=True):
                if is_same_structure(frames[step], match):
                    frames[step].info["calculation"] = match.info["calculation"]
                    labelled.append(attach_labels(frames[step], match.calc.results))
                    open_steps.discard(step)
        postponed_steps = set(later.get_dict().get(label, ()))
        remaining += [frames[step] for step in sorted(open_steps - postponed_steps)]
        postponed += [frames[step] for step in sorted(open_steps & postponed_steps)]
    outputs = {f"labelled__{label}": node for label, node in to_trajectories(labelled, method.get_dict()).items()}
    outputs |= {f"remaining__{label}": node for label, node in to_trajectories(remaining).items()}
    return outputs | {f"later__{label}": node for label, node in to_trajectories(postponed).items()}
