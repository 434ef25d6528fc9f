"""Datasets for DeePMD-kit: a folder of numpy arrays for each set of structures with the same atoms and labels."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.stress import voigt_6_to_full_3x3_stress

from ..dataset.species import elements_of

ADDED_VACUUM = 20.0
"""Vacuum (Å) along directions without periodicity."""


def write_deepmd(parts: Mapping[str, Sequence[Atoms]], folder: Path) -> None:
    """Write the systems of `train` and `test`, and `input.json`, the section of a DeePMD input that names them.

    A system has `type.raw`, `type_map.raw` and `set.000` with `coord.npy`, `box.npy` (Å), `energy.npy` (eV), `force.npy` (eV/Å)
    and, where there are stresses, `virial.npy` (eV): minus the volume times the stress. Structures without periodicity have
    the file `nopbc`; in structures periodic along some directions only, vacuum takes the place of the missing periodicity.
    """
    elements = elements_of(atoms for frames in parts.values() for atoms in frames)
    names: dict[str, list[str]] = {}
    for part, frames in parts.items():
        names[part] = []
        for label, members in _systems(frames).items():
            _write_system(folder / part / label, members, elements)
            names[part].append(f"{part}/{label}")
    content = {
        "model": {"type_map": elements},
        "training": {
            "training_data": {"systems": names["train"], "batch_size": "auto"},
            "validation_data": {"systems": names.get("test", names["train"])},
        },
    }
    (folder / "input.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _systems(frames: Sequence[Atoms]) -> dict[str, list[Atoms]]:
    """Return the structures by formula, periodicity and labels, with their atoms sorted by element."""
    systems: defaultdict[str, list[Atoms]] = defaultdict(list)
    for atoms in frames:
        kinds = ["cluster"] if not atoms.pbc.any() else []
        kinds += ["no_virial"] if atoms.pbc.any() and _virial(atoms) is None else []
        systems["_".join([atoms.get_chemical_formula(mode="hill"), *kinds])].append(atoms)
    return dict(systems)


def _write_system(folder: Path, frames: Sequence[Atoms], elements: Sequence[str]) -> None:
    arrays = folder / "set.000"
    arrays.mkdir(parents=True)
    orders = [np.argsort([elements.index(symbol) for symbol in atoms.symbols], kind="stable") for atoms in frames]
    types = sorted(elements.index(symbol) for symbol in frames[0].symbols)
    (folder / "type.raw").write_text("\n".join(map(str, types)) + "\n")
    (folder / "type_map.raw").write_text("\n".join(elements) + "\n")
    if not frames[0].pbc.any():
        (folder / "nopbc").touch()
    pairs = list(zip(frames, orders, strict=True))
    np.save(arrays / "coord.npy", np.array([atoms.positions[order].ravel() for atoms, order in pairs]))
    np.save(arrays / "box.npy", np.array([_box(atoms).ravel() for atoms in frames]))
    np.save(arrays / "energy.npy", np.array([atoms.calc.results["energy"] for atoms in frames]))
    np.save(arrays / "force.npy", np.array([atoms.calc.results["forces"][order].ravel() for atoms, order in pairs]))
    virials = [_virial(atoms) for atoms in frames]
    if all(virial is not None for virial in virials):
        np.save(arrays / "virial.npy", np.array([virial for virial in virials if virial is not None]))


def _virial(atoms: Atoms) -> np.ndarray | None:
    stress = atoms.calc.results.get("stress")
    if stress is None or not atoms.pbc.all():
        return None
    return np.asarray(-atoms.get_volume() * voigt_6_to_full_3x3_stress(stress)).ravel()


def _box(atoms: Atoms) -> np.ndarray:
    """Return cell vectors (3, 3); along directions without periodicity they leave vacuum around the atoms."""
    if not atoms.pbc.any():
        return np.eye(3) * (np.ptp(atoms.positions, axis=0).max() + ADDED_VACUUM)
    cell = atoms.cell.copy()
    missing = [axis for axis in range(3) if not atoms.pbc[axis]]
    for axis in missing:
        cell[axis] = 0.0
    cell = cell.complete()
    for axis in missing:
        direction = cell[axis] / np.linalg.norm(cell[axis])
        cell[axis] = direction * (np.ptp(atoms.positions @ direction) + ADDED_VACUUM)
    return np.asarray(cell.array)
