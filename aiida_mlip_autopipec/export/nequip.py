"""Datasets for NequIP and Allegro: extended XYZ with ASE's label names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml
from ase import Atoms

from ..dataset.files import write_file
from ..dataset.species import elements_of


def write_nequip(parts: Mapping[str, Sequence[Atoms]], folder: Path) -> None:
    """Write `train.xyz`, `test.xyz` and `data.yaml`, the section `data` of a settings file of NequIP."""
    for name, frames in parts.items():
        write_file(folder / f"{name}.xyz", frames)
    data: dict[str, object] = {
        "_target_": "nequip.data.datamodule.ASEDataModule",
        "seed": 1,
        "split_dataset": {"file_path": "train.xyz", "train": 0.95, "val": 0.05},
    }
    if "test" in parts:
        data["test_file_path"] = "test.xyz"
    elements = elements_of(atoms for frames in parts.values() for atoms in frames)
    data["transforms"] = [
        {"_target_": "nequip.data.transforms.NeighborListTransform", "r_max": "${cutoff_radius}"},
        {"_target_": "nequip.data.transforms.ChemicalSpeciesToAtomTypeMapper", "model_type_names": elements},
    ]
    text = yaml.safe_dump({"cutoff_radius": 5.0, "data": data}, sort_keys=False)
    (folder / "data.yaml").write_text(text, encoding="utf-8")
