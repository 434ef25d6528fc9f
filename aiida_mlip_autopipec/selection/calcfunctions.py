"""Calcfunctions around a selection: from candidates to the files of the job, and from its result to structures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from aiida.engine import calcfunction
from aiida.orm import Data, Dict, Int, SinglefileData
from ase import Atoms

from ..config.schemas.selection import SelectionConfig
from ..dataset.frame_files import count_structures, frames_at, frames_file
from ..dataset.trajectory import to_trajectories
from ..programs.catalogue import SELECT_STRUCTURES
from ..programs.files import json_file

CANDIDATE_PREFIX, KNOWN_PREFIX = "candidate_", "known_"
"""Prefixes of the names of the inputs of :func:`write_selection_files`."""


@calcfunction
def write_selection_files(count: Int, settings: Dict, **structures: Data) -> dict[str, SinglefileData]:
    """Write the files that `select_structures` reads: `settings` and, if there are any, `candidates` and `known`.

    If the only input of candidates is a pool, its file is used unchanged, and `candidates` is not written.

    :param settings: a :class:`SelectionConfig` as dictionary.
    :param structures: trajectories and pools named with the prefix :data:`CANDIDATE_PREFIX` or :data:`KNOWN_PREFIX`.
    """
    config = SelectionConfig.model_validate(settings.get_dict())
    content = {
        "count": count.value,
        "method": config.method,
        "n_functions": config.n_functions,
        "per_block": config.block,
        "representative": config.representative,
    }
    names = SELECT_STRUCTURES.files
    files = {"settings": json_file(names["settings"], content)}
    for name, prefix in (("candidates", CANDIDATE_PREFIX), ("known", KNOWN_PREFIX)):
        if nodes := _with_prefix(structures, prefix):
            files[name] = _unlabelled(names[name], nodes)
    return files


@calcfunction
def take_selected(selection: SinglefileData, **candidates: Data) -> dict[str, Data]:
    """Return the selected structures, by label, and `report`: order and reason of the selection.

    :param selection: `selection.json` of `select_structures`; its indices count the structures of all input nodes, the
        nodes in alphabetical order of their labels.
    :param candidates: trajectories and pools.
    :returns: trajectories whose frames have the candidate as source; `report` with `chosen`, a list in the order of selection
        with `label` and `step` of each structure, and `left_out`, by label the `steps` of the other candidates and their
        selection scores (`worth`) given the selected structures.
    """
    # The keys are those of stored reports and do not change: `chosen` are selected, `left_out` not, and `worth` is a score.
    found = json.loads(selection.get_content())
    positions = [
        (label, step) for label in sorted(candidates) for step in range(count_structures({label: candidates[label]}))
    ]
    selected = [_with_position(record, positions) for record in found["chosen"]]
    not_selected: dict[str, dict[str, list[Any]]] = {}
    for record in found["left_out"]:
        label, step = positions[record["index"]]
        scores = not_selected.setdefault(label, {"steps": [], "worth": []})
        scores["steps"].append(step)
        scores["worth"].append(record["worth"])
    frames: dict[tuple[str, int], Atoms] = {}
    for label in sorted(candidates):
        steps = sorted(record["step"] for record in selected if record["label"] == label)
        for step, atoms in zip(steps, frames_at(candidates[label], steps), strict=True):
            atoms.info.update(source_uuid=candidates[label].uuid, source_step=step)
            frames[label, step] = atoms
    for record in selected:
        record["family"] = str(frames[record["label"], record["step"]].info["family"])
    return {**to_trajectories(frames.values()), "report": Dict({**found, "chosen": selected, "left_out": not_selected})}


def _with_position(record: Mapping[str, Any], positions: Sequence[tuple[str, int]]) -> dict[str, Any]:
    """Replace the index of a structure by the label of its trajectory and its step."""
    label, step = positions[record["index"]]
    return {"label": label, "step": step, **{key: value for key, value in record.items() if key != "index"}}


def _with_prefix(structures: Mapping[str, Data], prefix: str) -> dict[str, Data]:
    return {name: structures[name] for name in sorted(structures) if name.startswith(prefix)}


def _unlabelled(name: str, structures: Mapping[str, Data]) -> SinglefileData:
    frames = [atoms for node in structures.values() for atoms in frames_at(node)]
    for atoms in frames:
        atoms.calc = None
    return frames_file(name, frames)
