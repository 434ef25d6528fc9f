"""Structures of any formulas as one file node (ASE trajectory): pools, files of jobs, and the user's labelled structures."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from aiida.orm import Data, SinglefileData, TrajectoryData
from ase import Atoms
from ase.io.trajectory import Trajectory

from ..provenance.calls import N_STRUCTURES
from .traj_file import write_traj
from .trajectory import to_atoms

POOL = "pool"
"""Label of a pool."""


def frames_file(name: str, frames: Iterable[Atoms]) -> SinglefileData:
    """Return a node with structures and their labels as an ASE trajectory."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        write_traj(path, frames)
        return SinglefileData(path)


def pool_file(frames: Sequence[Atoms]) -> SinglefileData:
    """Return a node with a pool as an ASE trajectory: one node, whatever the number of formulas."""
    return _counted_file("pool.traj", frames, POOL)


def labelled_file(frames: Sequence[Atoms], name: str) -> SinglefileData:
    """Return a node with labelled structures of the user as an ASE trajectory: one node, whatever the number of formulas.

    :param name: name of the data, such as that of the user's file.
    """
    return _counted_file("labelled.traj", frames, name)


def _counted_file(filename: str, frames: Sequence[Atoms], label: str) -> SinglefileData:
    node = frames_file(filename, frames)
    node.label = label
    node.base.attributes.set(N_STRUCTURES, len(frames))
    return node


def count_structures(nodes: Mapping[str, Data]) -> int:
    """Return the number of structures in a namespace of trajectories and files of structures."""
    return sum(
        node.numsteps if isinstance(node, TrajectoryData) else node.base.attributes.get(N_STRUCTURES)
        for node in nodes.values()
    )


def read_frames(node: SinglefileData) -> list[Atoms]:
    """Return the structures of an ASE trajectory; none if the file is empty because the job was killed early."""
    with node.as_path() as path:
        if not path.stat().st_size:
            return []
        with Trajectory(str(path)) as trajectory:
            return list(trajectory)


def frames_at(node: Data, steps: Sequence[int] | None = None) -> list[Atoms]:
    """Return the structures of a trajectory or file at some steps, by default all."""
    if isinstance(node, TrajectoryData):
        return to_atoms(node, steps)
    frames = read_frames(node)
    return frames if steps is None else [frames[step] for step in steps]
