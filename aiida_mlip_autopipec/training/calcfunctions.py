"""Calcfunction that writes the input files of a fit."""

from __future__ import annotations

from aiida.engine import calcfunction
from aiida.orm import Dict, SinglefileData, TrajectoryData

from ..config.schemas.training import TrainingConfig
from ..dataset.frame_files import frames_file
from ..dataset.trajectory import all_frames
from ..programs.catalogue import PACE_TRAIN
from ..programs.files import text_file
from .pacemaker_input import input_yaml


@calcfunction
def write_training_files(settings: Dict, **dataset: TrajectoryData) -> dict[str, SinglefileData]:
    """Write `input.yaml` and `dataset.traj` for `pace_train`.

    :param settings: a :class:`TrainingConfig` as dictionary.
    :param dataset: curated trajectories, by label.
    :returns: the files `input` and `dataset`.
    """
    # Stored inputs from versions without the setting `embedding` lack it: those fits had none.
    config = TrainingConfig.model_validate({"embedding": False, **settings.get_dict()})
    elements = sorted({symbol for trajectory in dataset.values() for symbol in trajectory.symbols})
    names = PACE_TRAIN.files
    return {
        "input": text_file(names["input"], input_yaml(config, elements)),
        "dataset": frames_file(names["dataset"], all_frames(dataset)),
    }
