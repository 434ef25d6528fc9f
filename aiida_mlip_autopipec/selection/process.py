"""The calcfunctions around a selection: from candidates to the files of the job, and from what it chose to structures."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aiida.engine import calcfunction
from aiida.orm import Data, Dict, Int, SinglefileData, TrajectoryData
from ase import Atoms
from ase.io.trajectory import Trajectory

from ..config.schemas.selection import SelectionConfig
from ..dataset.trajectory import all_frames, to_atoms, to_trajectories

SETTINGS, CANDIDATES, KNOWN = "settings.json", "candidates.traj", "known.traj"
CANDIDATE, OF_KNOWN = "candidate_", "known_"
"""What the names of the inputs of :func:`write_selection_files` begin with."""


@calcfunction
def write_selection_files(count: Int, settings: Dict, **structures: TrajectoryData) -> dict[str, SinglefileData]:
    """Write the files that `select_structures` reads: `settings`, `candidates` and, if there are any, `known`.

    :param settings: a :class:`SelectionConfig` as dictionary.
    :param structures: trajectories whose names begin with :data:`CANDIDATE` or :data:`OF_KNOWN`.
    """
    config = SelectionConfig.model_validate(settings.get_dict())
    content = {
        "count": count.value,
        "method": config.method,
        "n_functions": config.n_functions,
        "per_block": config.block,
    }
    files = {
        "settings": SinglefileData(io.BytesIO(json.dumps(content).encode()), filename=SETTINGS),
        "candidates": _file(CANDIDATES, all_frames(_of_side(structures, CANDIDATE))),
    }
    known = _of_side(structures, OF_KNOWN)
    if known:
        files["known"] = _file(KNOWN, all_frames(known))
    return files


@calcfunction
def take_selected(selection: SinglefileData, **candidates: TrajectoryData) -> dict[str, Data]:
    """Return the chosen structures, by label, and `report`: which structures were chosen when and why.

    :param selection: `selection.json` of `select_structures`, of the candidates in the order of their names.
    :returns: trajectories whose frames name the candidate they are; `report` with `chosen`, a list in the order of the choice,
        each with the name of its trajectory and the step there, and `left_out`, by trajectory the other `steps` and what these
        are `worth` beside the chosen ones.
    """
    found = json.loads(selection.get_content())
    where = [(label, step) for label in sorted(candidates) for step in range(candidates[label].numsteps)]
    chosen = [_named(one, where) for one in found["chosen"]]
    left_out: dict[str, dict[str, list[Any]]] = {}
    for one in found["left_out"]:
        label, step = where[one["index"]]
        of_label = left_out.setdefault(label, {"steps": [], "worth": []})
        of_label["steps"].append(step)
        of_label["worth"].append(one["worth"])
    frames = []
    for label in sorted(candidates):
        steps = sorted(one["step"] for one in chosen if one["label"] == label)
        for step, atoms in zip(steps, to_atoms(candidates[label], steps), strict=True):
            atoms.info.update(source_uuid=candidates[label].uuid, source_step=step)
            frames.append(atoms)
    for one in chosen:
        one["family"] = str(candidates[one["label"]].get_array("families")[one["step"]])
    return {**to_trajectories(frames), "report": Dict({**found, "chosen": chosen, "left_out": left_out})}


def _named(one: Mapping[str, Any], where: Sequence[tuple[str, int]]) -> dict[str, Any]:
    """Name a structure by the trajectory it stands in and its step, not by its index."""
    label, step = where[one["index"]]
    return {"label": label, "step": step, **{key: value for key, value in one.items() if key != "index"}}


def _of_side(structures: Mapping[str, TrajectoryData], side: str) -> dict[str, TrajectoryData]:
    return {name: structures[name] for name in sorted(structures) if name.startswith(side)}


def _file(name: str, structures: Sequence[Atoms]) -> SinglefileData:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        with Trajectory(str(path), "w") as frames:
            for atoms in structures:
                atoms.calc = None
                frames.write(atoms)
        return SinglefileData(path)
