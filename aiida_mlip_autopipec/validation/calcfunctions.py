"""Calcfunctions of the validation: from elements to structures, and from labels to the verdict."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from aiida.engine import ExitCode, calcfunction
from aiida.orm import ArrayData, Data, Dict, List, SinglefileData, TrajectoryData
from ase import Atoms

from ..config.schemas.validation import ValidationConfig
from ..dataset.frame_files import frames_file
from ..dataset.trajectory import all_frames, attach_labels, frames_with_source, to_trajectories
from ..programs.catalogue import VALIDATE_POTENTIAL
from ..programs.files import json_file, read_arrays
from .crystals import ValidationCrystal, at_equilibrium, crystals_of
from .measurement import NotMeasurableError
from .plan import Plan
from .report import validation_report

_FILES = VALIDATE_POTENTIAL.files
POTENTIAL, ORACLE, PHASE = "potential_", "oracle_", "phase_"
"""Prefixes of the names of the labels and of the user's phases in the inputs of calcfunctions."""


@calcfunction
def make_crystals(elements: List, settings: Dict, **phases: TrajectoryData) -> SinglefileData | ExitCode:
    """Write the crystals and phases at their estimated or given lattice constants, as the start of the search for the minimum.

    :param settings: a :class:`ValidationConfig` as dictionary.
    :param phases: the user's structures; those with the role `phase` are validated.
    :returns: exit status 310 if a phase has no symmetry.
    """
    try:
        crystals = _crystals(elements, settings, phases)
    except NotMeasurableError as error:
        return ExitCode(310, f"phases: {error}")
    structures = {}
    for crystal in crystals:
        structures[crystal.name] = crystal.atoms.copy()
        structures[crystal.name].info = {"relax": crystal.given}
    return _structures_file("structures", structures)


@calcfunction
def plan_structures(
    elements: List, settings: Dict, equilibrium: Dict, **phases: TrajectoryData
) -> dict[str, TrajectoryData]:
    """Return the structures that potential and oracle label, by label; their family is the name that the plan gives them.

    :param equilibrium: output of `validate_potential equilibrium`.
    :param phases: the user's structures.
    """
    return to_trajectories(_plan(elements, settings, equilibrium, phases).structures().values())


@calcfunction
def write_evaluation_files(
    elements: List, settings: Dict, equilibrium: Dict, **structures: TrajectoryData
) -> dict[str, SinglefileData]:
    """Write the files of `validate_potential evaluate`: `structures`, and with dynamics `starts` and `settings`.

    :param structures: those of the plan, and the user's with the prefix :data:`PHASE`.
    """
    phases, structures = _divided(structures)
    plan = _plan(elements, settings, equilibrium, phases)
    starts = plan.starts()
    files = {
        "structures": _structures_file("structures", {str(n): atoms for n, atoms in enumerate(_in_order(structures))})
    }
    if starts:
        content = {"dynamics": plan.config.dynamics.model_dump(mode="json"), "seed": plan.config.seed}
        files["starts"] = _structures_file("starts", starts)
        files["settings"] = json_file(_FILES["settings"], content)
    return files


@calcfunction
def attach_predictions(labels: SinglefileData, **structures: TrajectoryData) -> dict[str, TrajectoryData]:
    """Return the structures with the energies, forces and stresses of the potential, without those that have no finite values.

    :param labels: `labels.npz` of `validate_potential` for the structures in the order of their labels.
    """
    arrays = read_arrays(labels)
    frames = frames_with_source({label: structures[label] for label in sorted(structures)})
    ends = np.cumsum([len(atoms) for atoms in frames])
    predicted = []
    for number, atoms in enumerate(frames):
        forces = arrays["forces"][ends[number] - len(atoms) : ends[number]]
        if not (np.isfinite(arrays["energies"][number]) and np.isfinite(forces).all()):
            continue
        results: dict[str, Any] = {"energy": float(arrays["energies"][number]), "forces": forces}
        if np.isfinite(arrays["stresses"][number]).all():
            results["stress"] = arrays["stresses"][number]
        predicted.append(attach_labels(atoms, results))
    return to_trajectories(predicted)


@calcfunction
def assess_potential(
    elements: List,
    settings: Dict,
    equilibrium: Dict,
    dynamics: SinglefileData | None = None,
    **labels: TrajectoryData,
) -> dict[str, Data]:
    """Return the verdict on a potential, from the labels of potential and oracle.

    :param dynamics: `dynamics.npz` of `validate_potential`, if there were MD runs.
    :param labels: trajectories named with the prefix :data:`POTENTIAL`, :data:`ORACLE`, or :data:`PHASE` for the user's.
    :returns: `validation`, see :func:`~.report.validation_report`; and `arrays`: `x`, `potential` and, if available, `oracle`
        of each curve, and the records of the dynamics.
    """
    phases, labels = _divided(labels)
    plan = _plan(elements, settings, equilibrium, phases)
    recorded = read_arrays(dynamics) if dynamics is not None else {}
    records = {
        name: {
            key.removeprefix(f"{number}_"): values for key, values in recorded.items() if key.startswith(f"{number}_")
        }
        for number, name in enumerate(plan.starts())
    }
    records = {name: record for name, record in records.items() if record}
    report = validation_report(plan, _by_name(labels, POTENTIAL), _by_name(labels, ORACLE), records)
    return {"validation": Dict(report), "arrays": _arrays(report["curves"], records)}


def _crystals(elements: List, settings: Dict, phases: Mapping[str, TrajectoryData]) -> list[ValidationCrystal]:
    config = ValidationConfig.model_validate(settings.get_dict())
    given = [atoms for atoms in all_frames(phases) if atoms.info.get("role") == "phase"]
    return crystals_of(elements.get_list(), config, given)


def _plan(elements: List, settings: Dict, equilibrium: Dict, phases: Mapping[str, TrajectoryData]) -> Plan:
    crystals = _crystals(elements, settings, phases)
    minima = dict(zip((crystal.name for crystal in crystals), equilibrium["minima"], strict=True))
    found = {name: minimum for name, minimum in minima.items() if minimum is not None}
    factors = {name: minimum["factor"] for name, minimum in found.items()}
    energies = {name: minimum["energy"] for name, minimum in found.items()}
    relaxed = {
        crystal.name: Atoms(
            crystal.atoms.numbers,
            positions=found[crystal.name]["positions"],
            cell=found[crystal.name]["cell"],
            pbc=True,
        )
        for crystal in crystals
        if "cell" in found.get(crystal.name, {})
    }
    config = ValidationConfig.model_validate(settings.get_dict())
    return Plan(at_equilibrium(crystals, factors, energies, relaxed), config)


def _divided(
    named: Mapping[str, TrajectoryData],
) -> tuple[dict[str, TrajectoryData], dict[str, TrajectoryData]]:
    """Return the user's phases without their prefix, and the others."""
    phases = {name.removeprefix(PHASE): node for name, node in named.items() if name.startswith(PHASE)}
    return phases, {name: node for name, node in named.items() if not name.startswith(PHASE)}


def _structures_file(name: str, structures: Mapping[str, Atoms]) -> SinglefileData:
    """Return a file of structures; a structure without family gets its key as family."""
    frames = []
    for family, atoms in structures.items():
        frames.append(atoms.copy())
        frames[-1].info.setdefault("family", family)
    return frames_file(_FILES[name], frames)


def _in_order(structures: Mapping[str, TrajectoryData]) -> list[Atoms]:
    return all_frames({label: structures[label] for label in sorted(structures)})


def _by_name(labels: Mapping[str, TrajectoryData], side: str) -> dict[str, Atoms]:
    wanted = {name: node for name, node in labels.items() if name.startswith(side)}
    return {str(atoms.info["family"]): atoms for atoms in all_frames(wanted)}


def _arrays(curves: Sequence[Mapping[str, Any]], records: Mapping[str, Mapping[str, np.ndarray]]) -> ArrayData:
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
