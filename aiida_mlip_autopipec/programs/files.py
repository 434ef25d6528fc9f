"""Files of jobs as nodes: writing of structures and settings, reading of structures and arrays."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from aiida.orm import Data, SinglefileData, TrajectoryData
from ase import Atoms
from ase.io.trajectory import Trajectory

from ..provenance.calls import N_STRUCTURES


def frames_file(name: str, frames: Iterable[Atoms]) -> SinglefileData:
    """Return a node with structures and their labels as an ASE trajectory."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        with Trajectory(str(path), "w") as trajectory:
            for atoms in frames:
                trajectory.write(atoms)
        return SinglefileData(path)


POOL = "pool"
"""Label of a pool."""


def pool_file(frames: Sequence[Atoms]) -> SinglefileData:
    """Return a node with a pool as an ASE trajectory: one node, whatever the number of formulas."""
    node = frames_file("pool.traj", frames)
    node.label = POOL
    node.base.attributes.set(N_STRUCTURES, len(frames))
    return node


def count_structures(nodes: Mapping[str, Data]) -> int:
    """Return the number of structures in a namespace of trajectories and pools."""
    return sum(
        node.numsteps if isinstance(node, TrajectoryData) else node.base.attributes.get(N_STRUCTURES)
        for node in nodes.values()
    )


def text_file(name: str, content: str) -> SinglefileData:
    """Return a node with text."""
    return SinglefileData(io.BytesIO(content.encode()), filename=name)


def json_file(name: str, content: Mapping[str, Any]) -> SinglefileData:
    """Return a node with settings as JSON."""
    return text_file(name, json.dumps(content))


def read_frames(node: SinglefileData) -> list[Atoms]:
    """Return the structures of an ASE trajectory; none if the file is empty because the job was killed early."""
    with node.as_path() as path:
        if not path.stat().st_size:
            return []
        with Trajectory(str(path)) as trajectory:
            return list(trajectory)


def read_arrays(node: SinglefileData) -> dict[str, np.ndarray]:
    """Return the arrays of an `.npz` file, which must not contain pickled objects."""
    with np.load(io.BytesIO(node.get_content(mode="rb")), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}
