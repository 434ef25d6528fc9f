"""Datasets for MACE: extended XYZ with its own label names, free atoms marked, and a settings file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from ase import Atoms
from ase.io import write
from ase.stress import voigt_6_to_full_3x3_stress

from ..dataset.files.keys import copy_geometry
from ..dataset.fingerprint import is_free_atom

HEAD = "Default"
"""Head of all structures: the name that MACE gives the only head of a model."""


def write_mace(parts: Mapping[str, Sequence[Atoms]], folder: Path) -> None:
    """Write `train.xyz`, `test.xyz` and `mace.yaml`.

    Labels are `REF_energy` (eV), `REF_forces` (eV/Å) and `REF_stress` (eV/Å^3, 3 x 3, the sign of ASE and MACE), names that ASE
    does not take for its own. Free atoms have `config_type=IsolatedAtom`: MACE reads the energies of free atoms from them.
    """
    for name, frames in parts.items():
        write(folder / f"{name}.xyz", [_frame(atoms) for atoms in frames], format="extxyz")
    settings: dict[str, Any] = {
        "name": "mace",
        "train_file": "train.xyz",
        "energy_key": "REF_energy",
        "forces_key": "REF_forces",
        "stress_key": "REF_stress",
        "E0s": "IsolatedAtom" if any(is_free_atom(atoms) for atoms in parts["train"]) else "average",
        "valid_fraction": 0.05,
        "model": "MACE",
    }
    if "test" in parts:
        settings["test_file"] = "test.xyz"
    (folder / "mace.yaml").write_text(
        "# mace_run_train --config mace.yaml\n" + yaml.safe_dump(settings, sort_keys=False), encoding="utf-8"
    )


def _frame(atoms: Atoms) -> Atoms:
    results = atoms.calc.results
    frame = copy_geometry(atoms, {"head": HEAD, "REF_energy": float(results["energy"])})
    family = str(atoms.info.get("family", "Default")).replace(" ", "_")
    frame.info["config_type"] = "IsolatedAtom" if is_free_atom(atoms) else family
    frame.arrays["REF_forces"] = results["forces"]
    if "stress" in results and atoms.pbc.all():
        frame.info["REF_stress"] = voigt_6_to_full_3x3_stress(results["stress"])
    return frame
