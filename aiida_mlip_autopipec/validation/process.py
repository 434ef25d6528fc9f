"""The calcfunctions around the validation: from elements to structures, from labels to the verdict."""

from __future__ import annotations

import io
import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from aiida.engine import calcfunction
from aiida.orm import ArrayData, Data, Dict, List, SinglefileData, TrajectoryData
from ase import Atoms
from ase.io.trajectory import Trajectory

from ..config.schemas.validation import ValidationConfig
from ..dataset.trajectory import all_frames, attach_labels, frames_with_source, to_trajectories
from .crystals import at_equilibrium, estimated_crystals
from .plan import Plan
from .report import assess

CRYSTALS, STRUCTURES, STARTS, SETTINGS = "crystals.traj", "structures.traj", "starts.traj", "settings.json"
POTENTIAL, ORACLE = "potential_", "oracle_"
"""What the names of the inputs of :func:`assess_potential` that hold labels begin with."""


@calcfunction
def make_crystals(elements: List, settings: Dict) -> SinglefileData:
    """Write the crystals at their estimated sizes, for the potential to say where their energies have a minimum.

    :param settings: a :class:`ValidationConfig` as dictionary.
    """
    crystals = estimated_crystals(elements.get_list(), ValidationConfig.model_validate(settings.get_dict()))
    return _file(CRYSTALS, {crystal.name: crystal.cell for crystal in crystals})


@calcfunction
def plan_structures(elements: List, settings: Dict, equilibrium: Dict) -> dict[str, TrajectoryData]:
    """Return the structures that both sides label, by label; their family is the name that tells what they are for.

    :param equilibrium: what `validate_potential equilibrium` says of the crystals.
    """
    return to_trajectories(_plan(elements, settings, equilibrium).structures().values())


@calcfunction
def write_evaluation_files(
    elements: List, settings: Dict, equilibrium: Dict, **structures: TrajectoryData
) -> dict[str, SinglefileData]:
    """Write the files of `validate_potential evaluate`: `structures`; and `starts` and `settings` of dynamics, if any."""
    plan = _plan(elements, settings, equilibrium)
    starts = plan.starts()
    files = {"structures": _file(STRUCTURES, {str(n): atoms for n, atoms in enumerate(_in_order(structures))})}
    if starts:
        content = {"dynamics": plan.config.dynamics.model_dump(mode="json"), "seed": plan.config.seed}
        files["starts"] = _file(STARTS, starts)
        files["settings"] = SinglefileData(io.BytesIO(json.dumps(content).encode()), filename=SETTINGS)
    return files


@calcfunction
def attach_predictions(labels: SinglefileData, **structures: TrajectoryData) -> dict[str, TrajectoryData]:
    """Return the structures with the potential's energies, forces and stresses; those it cannot evaluate are left out.

    :param labels: `labels.npz` of `validate_potential`, of the structures in the order of their labels.
    """
    arrays = _arrays(labels)
    frames = frames_with_source({label: structures[label] for label in sorted(structures)})
    ends = np.cumsum([len(atoms) for atoms in frames])
    predicted = []
    for number, atoms in enumerate(frames):
        forces = arrays["forces"][ends[number] - len(atoms) : ends[number]]
        if not (np.isfinite(arrays["energies"][number]) and np.isfinite(forces).all()):
            continue
        found: dict[str, Any] = {"energy": float(arrays["energies"][number]), "forces": forces}
        if np.isfinite(arrays["stresses"][number]).all():
            found["stress"] = arrays["stresses"][number]
        predicted.append(attach_labels(atoms, found))
    return to_trajectories(predicted)


@calcfunction
def assess_potential(
    elements: List,
    settings: Dict,
    equilibrium: Dict,
    dynamics: SinglefileData | None = None,
    **labels: TrajectoryData,
) -> dict[str, Data]:
    """Compare both sides' labels.

    :param dynamics: `dynamics.npz` of `validate_potential`, if dynamics were run.
    :param labels: trajectories whose names begin with :data:`POTENTIAL` or :data:`ORACLE`.
    :returns: `validation`, as :func:`~.report.assess` returns it; and `arrays`: `x`, `potential` and, if there is one,
        `oracle` of each curve, and all that dynamics recorded.
    """
    plan = _plan(elements, settings, equilibrium)
    recorded = _arrays(dynamics) if dynamics is not None else {}
    records = {
        name: {
            key.removeprefix(f"{number}_"): values for key, values in recorded.items() if key.startswith(f"{number}_")
        }
        for number, name in enumerate(plan.starts())
    }
    records = {name: record for name, record in records.items() if record}
    verdict = assess(plan, _by_name(labels, POTENTIAL), _by_name(labels, ORACLE), records)
    return {"validation": Dict(verdict), "arrays": _raw(verdict["curves"], records)}


def _plan(elements: List, settings: Dict, equilibrium: Dict) -> Plan:
    config = ValidationConfig.model_validate(settings.get_dict())
    crystals = estimated_crystals(elements.get_list(), config)
    minima = dict(zip((crystal.name for crystal in crystals), equilibrium["minima"], strict=True))
    found = {name: minimum for name, minimum in minima.items() if minimum is not None}
    factors = {name: minimum["factor"] for name, minimum in found.items()}
    energies = {name: minimum["energy"] for name, minimum in found.items()}
    return Plan(at_equilibrium(crystals, factors, energies), config)


def _file(name: str, structures: Mapping[str, Atoms]) -> SinglefileData:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        with Trajectory(str(path), "w") as frames:
            for family, atoms in structures.items():
                named = atoms.copy()
                named.info.setdefault("family", family)
                frames.write(named)
        return SinglefileData(path)


def _in_order(structures: Mapping[str, TrajectoryData]) -> list[Atoms]:
    return all_frames({label: structures[label] for label in sorted(structures)})


def _arrays(node: SinglefileData) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(node.get_content(mode="rb")), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _by_name(labels: Mapping[str, TrajectoryData], side: str) -> dict[str, Atoms]:
    wanted = {name: node for name, node in labels.items() if name.startswith(side)}
    return {str(atoms.info["family"]): atoms for atoms in all_frames(wanted)}


def _raw(curves: Sequence[Mapping[str, Any]], records: Mapping[str, Mapping[str, np.ndarray]]) -> ArrayData:
    node = ArrayData()
    for curve in curves:
        for side in ("x", "potential", "oracle"):
            if curve[side] is not None:
                node.set_array(_array_name(curve["kind"], curve["name"], side), np.array(curve[side], dtype=float))
    for name, record in records.items():
        for key, values in record.items():
            if key != "stopped":
                node.set_array(_array_name("dynamics", name, key), values)
    return node


def _array_name(*parts: str) -> str:
    return re.sub(r"\W+", "_", "_".join(parts))
