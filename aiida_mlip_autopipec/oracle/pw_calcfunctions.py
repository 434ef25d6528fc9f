"""Calcfunctions around pw.x: from structures to its inputs, and from its outputs to labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from aiida.engine import calcfunction
from aiida.orm import Data, Dict, Float, List, StructureData, TrajectoryData

from ..dataset.dimension import in_periodic_cell
from ..dataset.trajectory import attach_labels, to_atoms, to_trajectories
from .contract import failed_label

GPA_PER_EV_PER_A3 = 160.21766208
"""As aiida-quantumespresso converts Ry/bohr^3 to GPa (CODATA 2014)."""

_FAILED_LABEL_KEYS = ("label", "step", "kind", "reason", "calculation")


@calcfunction
def make_cells(frames: List, vacuum: Float, **structures: TrajectoryData) -> dict[str, StructureData]:
    """Return structures in the periodic cells that pw.x needs, with vacuum along non-periodic directions.

    :param frames: pairs of the label of a trajectory and a step.
    :param vacuum: in Å, on each side of a structure along directions in which it is not periodic.
    :returns: structures named `cell_<index of the frame>`.
    """
    return {
        f"cell_{number}": StructureData(ase=in_periodic_cell(to_atoms(structures[label], [step])[0], vacuum.value))
        for number, (label, step) in enumerate(frames.get_list())
    }


@calcfunction
def collect_pw_labels(frames: List, method: Dict, **nodes: Data) -> dict[str, Data]:
    """Turn the results of pw.x into labelled trajectories and a report.

    :param frames: for each structure its `label` and `step`, the `calculation` (UUID), its `wall_time_s`, and `kind` and
        `reason` of a failure (None after a success).
    :param nodes: `structures_<label>`, and the outputs `parameters_<number>` and `trajectory_<number>` of each calculation
        that succeeded.
    :returns: labelled trajectories by label, and `report`.
    """
    labelled, failed = [], []
    records = frames.get_list()
    for number, record in enumerate(records):
        trajectory = nodes[f"structures_{record['label']}"]
        atoms = to_atoms(trajectory, [record["step"]])[0]
        if record["kind"] is not None:
            failed.append(failed_label(trajectory=trajectory, **{key: record[key] for key in _FAILED_LABEL_KEYS}))
            continue
        atoms.info.update(source_uuid=trajectory.uuid, source_step=record["step"], calculation=record["calculation"])
        results = nodes[f"trajectory_{number}"]
        labels = pw_labels(nodes[f"parameters_{number}"].get_dict(), results, periodic=bool(atoms.pbc.all()))
        labelled.append(attach_labels(atoms, labels))
    report = {
        "asked": len(records),
        "labelled": len(labelled),
        "failed": failed,
        "wall_time_s": sum(record["wall_time_s"] or 0.0 for record in records),
        "versions": _versions(nodes),
    }
    return {**to_trajectories(labelled, method.get_dict(), reusable=True), "report": Dict(report)}


def pw_labels(parameters: dict[str, Any], results: TrajectoryData, *, periodic: bool) -> dict[str, Any]:
    """Return energy (eV), forces (n, 3) (eV/Å) and, if periodic, stress (6,) (eV/Å^3, ASE's sign and order).

    The total energy of pw.x is the free energy of the smeared electrons; the forces are its derivative. The stress, as stored
    by aiida-quantumespresso, is in GPa and has the sign of the pressure.
    """
    labels: dict[str, Any] = {"energy": float(parameters["energy"]), "forces": results.get_array("forces")[-1]}
    if periodic and "stress" in results.get_arraynames():
        stress = -results.get_array("stress")[-1] / GPA_PER_EV_PER_A3
        labels["stress"] = np.array([stress[i, j] for i, j in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))])
    return labels


def _versions(nodes: dict[str, Data]) -> dict[str, str]:
    versions = (
        node.get_dict().get("creator_version") for name, node in nodes.items() if name.startswith("parameters_")
    )
    return {"pw.x": next((str(version) for version in versions if version), "unknown")}
