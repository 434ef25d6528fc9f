"""A fit without AiiDA."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from aiida_mlip_autopipec.config.schemas.training import TrainingConfig
from aiida_mlip_autopipec.generator.structure import StructureGenerator
from aiida_mlip_autopipec.trainer.database import DatabaseManager
from aiida_mlip_autopipec.trainer.pacemaker import PacemakerWrapper, TrainingFailedError

from ..conftest import label_by_emt


def test_ten_structures_give_a_potential(tmp_path: Path) -> None:
    """Required by the specification: ten generated structures are labelled, saved and fitted; the potential is evaluated."""
    from pyace import PyACECalculator

    structures = [label_by_emt(atoms) for atoms in StructureGenerator().generate_initial_set("Cu", 10)]
    DatabaseManager().save_dataset(structures, tmp_path / "ten.pckl.gzip")
    potential = PacemakerWrapper().train(tmp_path / "ten.pckl.gzip", TrainingConfig())
    assert potential == tmp_path / "ten_potential" / "potential.yace"
    assert potential.stat().st_size > 0
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=2)
    atoms.calc = PyACECalculator(str(potential))
    assert np.isfinite(atoms.get_potential_energy())
    assert np.isfinite(atoms.get_forces()).all()


def test_the_split_of_the_data_is_kept(thirty_copper: list[Atoms], small_fit: TrainingConfig, tmp_path: Path) -> None:
    for index, atoms in enumerate(thirty_copper):
        atoms.info.update(split="test" if index % 3 == 2 else "train", group=index)
    DatabaseManager().save_dataset(thirty_copper, tmp_path / "data.extxyz")
    for atoms in thirty_copper:
        del atoms.info["split"], atoms.info["group"]
    potential = PacemakerWrapper(tmp_path / "fit").train(tmp_path / "data.extxyz", small_fit)
    metrics = json.loads(potential.with_name("metrics.json").read_text())
    assert metrics["train"]["n_structures"] == 20
    assert metrics["test"]["n_structures"] == 10


def test_a_failed_fit_raises_the_tail_of_the_log_and_leaves_no_potential(
    fitted: Path, thirty_copper: list[Atoms], tmp_path: Path
) -> None:
    DatabaseManager().save_dataset(thirty_copper, tmp_path / "data.db")
    (tmp_path / "fit").mkdir()
    (tmp_path / "fit" / "potential.yace").write_text("an older one")
    with pytest.raises(TrainingFailedError, match="9999 functions per element, but the training structures have only"):
        PacemakerWrapper(tmp_path / "fit").train(tmp_path / "data.db", TrainingConfig(n_functions=9999))
    assert not (tmp_path / "fit" / "potential.yace").exists()


def test_dataset_whose_structures_are_all_rejected_is_an_error(tmp_path: Path) -> None:
    atoms = label_by_emt(bulk("Cu"))
    atoms.calc.results["forces"] = np.full((1, 3), 1e4)
    DatabaseManager().save_dataset([atoms], tmp_path / "data.traj")
    with pytest.raises(ValueError, match="force_too_large"):
        PacemakerWrapper().train(tmp_path / "data.traj", TrainingConfig())
