"""The files a training job reads, made from nodes."""

from __future__ import annotations

import tempfile
from pathlib import Path

from aiida.engine import calcfunction
from aiida.orm import Dict, SinglefileData, TrajectoryData
from ase.io.trajectory import Trajectory

from ..config.schemas.training import TrainingConfig
from ..dataset.trajectory import all_frames
from .input import DATASET, INPUT, input_yaml


@calcfunction
def write_training_files(settings: Dict, **dataset: TrajectoryData) -> dict[str, SinglefileData]:
    """Write `input.yaml` and `dataset.traj` for `pace_train`.

    :param settings: a :class:`TrainingConfig` as dictionary.
    :param dataset: curated trajectories, by label.
    :returns: `input` and `dataset`.
    """
    config = TrainingConfig.model_validate(settings.get_dict())
    elements = sorted({symbol for trajectory in dataset.values() for symbol in trajectory.symbols})
    with tempfile.TemporaryDirectory() as folder:
        input_file, dataset_file = Path(folder) / INPUT, Path(folder) / DATASET
        input_file.write_text(input_yaml(config, elements), encoding="utf-8")
        with Trajectory(str(dataset_file), "w") as frames:
            for atoms in all_frames(dataset):
                frames.write(atoms)
        return {"input": SinglefileData(input_file), "dataset": SinglefileData(dataset_file)}
