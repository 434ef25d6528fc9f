"""The calcfunction around curation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiida.engine import ExitCode, calcfunction
from aiida.orm import Data, Dict, Float, Int, TrajectoryData
from ase import Atoms

from ..config.schemas.curation import CurationConfig
from .curate import curate
from .identity import structure_key
from .library import OWN_METHOD
from .trajectory import METHOD, frames_with_source, to_trajectories


@calcfunction
def curate_labels(
    settings: Dict, test_fraction: Float, seed: Int, **labelled: TrajectoryData
) -> dict[str, Data] | ExitCode:
    """Merge labelled structures into a dataset: finite, unique, divided into train and test.

    :param settings: a :class:`CurationConfig` as dictionary.
    :param labelled: trajectories with labels, all of one method; those imported from files are taken to be of it too. Their
        order, and how the structures are divided among them, make no difference.
    :returns: trajectories by label, each frame naming the labelled trajectory and step it came from, and `report`;
        exit status 310 if the labels are of different methods, 320 if nothing is left.
    """
    methods = [trajectory.base.attributes.get(METHOD, None) for trajectory in labelled.values()]
    methods = [method for method in methods if method != OWN_METHOD] or [OWN_METHOD]
    if any(method != methods[0] for method in methods):
        different = [method for index, method in enumerate(methods) if method not in methods[:index]]
        return ExitCode(310, f"labels of different methods do not go into one dataset: {different}")
    # Jobs that were ended divide the structures otherwise: it shall be the same dataset, and the same potential, all the same.
    frames = sorted(frames_with_source(labelled), key=structure_key)
    config = CurationConfig.model_validate(settings.get_dict())
    curation = curate(frames, config, test_fraction=test_fraction.value, seed=seed.value)
    report = {
        **curation.report,
        "rejections": [_named(rejection, frames) for rejection in curation.report["rejections"]],
    }
    if not curation.indices:
        return ExitCode(320, f"no labelled structure is fit for the dataset; rejected: {curation.report['rejected']}")
    kept = []
    for index, split, group in zip(curation.indices, curation.splits, curation.groups, strict=True):
        frames[index].info.update(split=split, group=int(group))
        kept.append(frames[index])
    return {**to_trajectories(kept, methods[0]), "report": Dict(report)}


def _named(rejection: dict[str, Any], frames: Sequence[Atoms]) -> dict[str, Any]:
    """Add to a rejection by what name the database knows the structure."""
    atoms = frames[rejection["index"]]
    names = {key: atoms.info[key] for key in ("family", "source_uuid", "source_step")}
    return {**rejection, "formula": atoms.get_chemical_formula(), **names}
