"""ASE trajectory files of labelled structures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk, molecule
from ase.io.trajectory import Trajectory

from aiida_mlip_autopipec.dataset.traj_file import write_traj
from aiida_mlip_autopipec.dataset.trajectory import attach_labels


def structures() -> list[Atoms]:
    crystal, water, without_stress = bulk("Cu", cubic=True), molecule("H2O"), bulk("Al")
    attach_labels(crystal, {"energy": -1.5, "forces": np.full((4, 3), 0.25), "stress": np.arange(6.0)})
    attach_labels(water, {"energy": -14.0, "forces": np.zeros((3, 3))})
    attach_labels(without_stress, {"energy": 0.5, "forces": np.ones((1, 3))})
    return [crystal, water, without_stress, bulk("Ni")]


def test_file_is_the_one_that_ase_writes(tmp_path: Path) -> None:
    for atoms in structures():
        with Trajectory(str(tmp_path / "ase.traj"), "w") as file:
            file.write(atoms)
        write_traj(tmp_path / "ours.traj", [atoms])
        assert (tmp_path / "ours.traj").read_bytes() == (tmp_path / "ase.traj").read_bytes()


def test_labels_of_several_structures_are_read_again(tmp_path: Path) -> None:
    write_traj(tmp_path / "all.traj", structures(), {"key": "value"})
    with Trajectory(str(tmp_path / "all.traj")) as file:
        assert file.description == {"key": "value"}
        read = list(file)
    for atoms, expected in zip(read, structures(), strict=True):
        assert (atoms.calc is None) == (expected.calc is None)
        if expected.calc is not None:
            assert atoms.get_potential_energy() == expected.get_potential_energy()
            np.testing.assert_array_equal(atoms.get_forces(), expected.get_forces())
