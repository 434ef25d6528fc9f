"""The calcfunction around curation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiida.engine import ExitCode, calcfunction
from aiida.orm import Data, Dict, Float, Int, TrajectoryData
from ase import Atoms

from ..config.schemas.curation import CurationConfig
from .curate import curate
from .frame_files import frames_at
from .identity import structure_key
from .library import OWN_METHOD
from .repair import repair_all
from .trajectory import METHOD, sort_by_species, to_trajectories


@calcfunction
def curate_labels(settings: Dict, test_fraction: Float, seed: Int, **labelled: Data) -> dict[str, Data] | ExitCode:
    """Merge labelled structures into a dataset: finite, unique, divided into train and test.

    Structures that the fit cannot use are repaired where their labels stay valid.

    :param settings: a :class:`CurationConfig` as dictionary.
    :param labelled: trajectories and files (ASE trajectories) with labels, all of one method; labels of files, and labels
        imported from files, are assumed to be of that method. The result depends neither on their order nor on how the
        structures are divided among them.
    :returns: trajectories by label, whose frames name their source (node and step), and `report`, that of
        :class:`~.curate.Curation` with `repaired`, the number of structures by kind of repair;
        exit status 310 if the labels are of different methods, 320 if no structure is left.
    """
    methods = [node.base.attributes.get(METHOD, None) for node in labelled.values() if isinstance(node, TrajectoryData)]
    methods = [method for method in methods if method != OWN_METHOD] or [OWN_METHOD]
    if any(method != methods[0] for method in methods):
        different = [method for index, method in enumerate(methods) if method not in methods[:index]]
        return ExitCode(310, f"labels of different methods cannot be in one dataset: {different}")
    # Restarted jobs divide the structures differently; sorting gives the same dataset and potential.
    frames, changes, _ = repair_all(sorted(_labelled_frames(labelled), key=structure_key))
    # Nodes stored before this setting existed give the same split again.
    config = CurationConfig.model_validate({"extremes_in_train": False, **settings.get_dict()})
    curation = curate(frames, config, test_fraction=test_fraction.value, seed=seed.value)
    report = {
        **curation.report,
        "repaired": {change: len(indices) for change, indices in changes.items()},
        "rejections": [_with_source(rejection, frames) for rejection in curation.report["rejections"]],
    }
    if not curation.indices:
        return ExitCode(320, f"all labelled structures are rejected: {curation.report['rejected']}")
    kept = []
    for index, split, group in zip(curation.indices, curation.splits, curation.groups, strict=True):
        frames[index].info.update(split=split, group=int(group))
        kept.append(frames[index])
    return {**to_trajectories(kept, methods[0]), "report": Dict(report)}


def _labelled_frames(labelled: Mapping[str, Data]) -> list[Atoms]:
    """Return the structures of trajectories and files, with their node and step as source in ``atoms.info``."""
    frames = []
    for node in labelled.values():
        for step, atoms in enumerate(frames_at(node)):
            atoms.info = {"family": "unknown", **atoms.info, "source_uuid": node.uuid, "source_step": step}
            # The atoms of a file are in any order.
            frames.append(atoms if isinstance(node, TrajectoryData) else sort_by_species(atoms))
    return frames


def _with_source(rejection: dict[str, Any], frames: Sequence[Atoms]) -> dict[str, Any]:
    """Add to a rejection the formula, family and source node of the structure."""
    atoms = frames[rejection["index"]]
    names = {key: atoms.info[key] for key in ("family", "source_uuid", "source_step")}
    if "location" in atoms.info:
        names["location"] = atoms.info["location"]
    return {**rejection, "formula": atoms.get_chemical_formula(), **names}
