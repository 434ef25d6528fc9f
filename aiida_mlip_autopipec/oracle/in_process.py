"""Labels by a Python function, within a calcfunction: for methods that are so fast that they need no job."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from aiida.engine import Process
from aiida.orm import Data, Dict, TrajectoryData
from ase import Atoms

from ..dataset.trajectory import attach_labels, frames_with_source, to_trajectories
from .contract import failed_label


def label_frames(
    compute: Callable[[Atoms], Mapping[str, Any]], structures: Mapping[str, TrajectoryData], method: Dict
) -> dict[str, Data]:
    """Label structures in a calcfunction; an exception of `compute` is a failed label.

    :param compute: returns energy (eV), forces (n, 3) (eV/Å) and, of a periodic structure, stress (6,) (eV/Å^3, ASE's sign and
        order). It gets the atoms in the order in which the forces are returned.
    :param structures: stored trajectories, by label.
    :param method: identity of the labels.
    :returns: labelled trajectories by label, and `report`, as :func:`~.contract.merge_reports` reads it.
    """
    begun, process = time.monotonic(), Process.current()
    assert process is not None
    labels = {node.uuid: label for label, node in structures.items()}
    labelled, failed = [], []
    for atoms in frames_with_source(structures):
        atoms.info["calculation"] = process.node.uuid
        try:
            labelled.append(attach_labels(atoms, compute(atoms.copy())))
        except Exception as error:
            label, step = labels[atoms.info["source_uuid"]], atoms.info["source_step"]
            reason = f"{type(error).__name__}: {error}"
            failed.append(
                failed_label(label, step, structures[label], process.node.uuid, kind="exception", reason=reason)
            )
    report = {
        "asked": len(labelled) + len(failed),
        "labelled": len(labelled),
        "failed": failed,
        "wall_time_s": time.monotonic() - begun,
        "versions": {},
    }
    return {**to_trajectories(labelled, method.get_dict(), reusable=True), "report": Dict(report)}
