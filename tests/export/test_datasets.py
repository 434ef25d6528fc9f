"""Datasets for other programs, read by these programs where they are installed."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import yaml
from ase import Atoms
from ase.build import bulk
from ase.io import read

from aiida_mlip_autopipec.config.errors import UserError
from aiida_mlip_autopipec.dataset.files import read_file
from aiida_mlip_autopipec.export.datasets import WRITERS, split_parts
from aiida_mlip_autopipec.export.folder import new_folder

from ..conftest import label_by_emt

MACE = os.environ.get("MLIP_MACE")

MACE_READER = """
import json, sys
from mace.data.utils import KeySpecification, load_from_xyz
keys = KeySpecification.from_defaults()
free, found = load_from_xyz(sys.argv[1], keys, head_name="Default", extract_atomic_energies=True)[:2]
print(json.dumps([{str(k): float(v) for k, v in free.items()}, len(found), [c.head for c in found],
    [float(c.properties["energy"]) for c in found], [c.properties["forces"].tolist() for c in found],
    [None if c.properties.get("stress") is None else c.properties["stress"].tolist() for c in found]]))
"""


@pytest.fixture
def frames(labelled_copper: list[Atoms]) -> list[Atoms]:
    """Copper and an alloy; one structure is for the test, one is a slab with its third vector missing."""
    alloy = bulk("Cu", cubic=True)
    alloy.symbols[1] = "Al"
    slab = bulk("Cu", cubic=True)
    slab.cell[2] = 0.0
    slab.pbc = [True, True, False]
    labelled = [*labelled_copper, label_by_emt(alloy), label_by_emt(slab)]
    labelled[3].info["split"] = "test"
    return labelled


@pytest.fixture
def written(frames: list[Atoms], tmp_path: Path) -> Path:
    for name, write in WRITERS.items():
        with new_folder(tmp_path / name) as folder:
            write(split_parts(frames), folder)
    return tmp_path


def test_deepmd_arrays(written: Path, frames: list[Atoms]) -> None:
    alloy = frames[6]
    system = written / "deepmd" / "train" / "AlCu3"
    assert (system / "type.raw").read_text().split() == ["0", "1", "1", "1"]
    order = np.argsort(alloy.numbers, kind="stable")
    assert np.array_equal(np.load(system / "set.000" / "coord.npy")[0].reshape(-1, 3), alloy.positions[order])
    virial = np.load(system / "set.000" / "virial.npy")[0].reshape(3, 3)
    assert np.allclose(virial, -alloy.get_volume() * alloy.get_stress(voigt=False))
    assert (written / "deepmd" / "train" / "Cu_cluster" / "nopbc").exists()
    slab = np.load(written / "deepmd" / "train" / "Cu4_no_virial" / "set.000" / "box.npy")[0].reshape(3, 3)
    assert np.linalg.det(slab) > 0 and slab[2, 2] > 20
    content = json.loads((written / "deepmd" / "input.json").read_text())
    assert content["model"]["type_map"] == ["Al", "Cu"]
    assert all((written / "deepmd" / name).is_dir() for name in content["training"]["training_data"]["systems"])


def test_dpdata_reads_the_deepmd_arrays(written: Path, frames: list[Atoms]) -> None:
    dpdata = pytest.importorskip("dpdata")
    system = dpdata.LabeledSystem(str(written / "deepmd" / "train" / "AlCu3"), fmt="deepmd/npy")
    (atoms,) = system.to_ase_structure()
    assert np.isclose(atoms.get_potential_energy(), frames[6].get_potential_energy())
    assert sorted(atoms.get_chemical_symbols()) == ["Al", "Cu", "Cu", "Cu"]
    cluster = dpdata.LabeledSystem(str(written / "deepmd" / "train" / "Cu_cluster"), fmt="deepmd/npy")
    assert cluster.nopbc


def test_ase_reads_the_mace_files(written: Path, frames: list[Atoms]) -> None:
    read_back = read(written / "mace" / "train.xyz", ":")
    assert [atoms.info["config_type"] for atoms in read_back[:2]] == ["IsolatedAtom", "dimer"]
    assert np.allclose(read_back[2].arrays["REF_forces"], frames[2].get_forces())
    assert np.allclose(read_back[2].info["REF_stress"], frames[2].get_stress(voigt=False))
    assert "REF_stress" not in read_back[0].info and read_back[0].info["head"] == "Default"
    assert yaml.safe_load((written / "mace" / "mace.yaml").read_text())["E0s"] == "IsolatedAtom"


@pytest.mark.slow
@pytest.mark.skipif(MACE is None, reason="MLIP_MACE names no Python with mace-torch")
def test_mace_reads_the_mace_files(written: Path, frames: list[Atoms]) -> None:
    arguments = [str(MACE), "-c", MACE_READER, str(written / "mace" / "train.xyz")]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    free, n_frames, heads, energies, forces, stresses = json.loads(done.stdout.splitlines()[-1])
    assert np.isclose(free["29"], frames[0].get_potential_energy())
    # Free atoms give their energies and are no training structures.
    assert n_frames == 6 and set(heads) == {"Default"}
    assert np.isclose(energies[1], frames[2].get_potential_energy())
    assert np.allclose(forces[1], frames[2].get_forces()) and np.allclose(
        stresses[1], frames[2].get_stress(voigt=False)
    )


def test_nequip_and_pacemaker_files_are_read_back(written: Path, frames: list[Atoms]) -> None:
    training = [atoms for atoms in frames if atoms.info.get("split") != "test"]
    for name in ("nequip/train.xyz", "pacemaker/train.pckl.gzip"):
        found = read_file(written / name).frames
        assert np.allclose(
            [atoms.get_potential_energy() for atoms in found], [atoms.get_potential_energy() for atoms in training]
        )
    data = yaml.safe_load((written / "nequip" / "data.yaml").read_text())["data"]
    assert data["transforms"][1]["model_type_names"] == ["Al", "Cu"]


def test_pacemaker_reads_the_pacemaker_files(written: Path, frames: list[Atoms]) -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.read_pickle(written / "pacemaker" / "test.pckl.gzip", compression="gzip")
    assert list(table.columns[:2]) == ["ase_atoms", "energy"] and len(table) == 1
    assert np.isclose(table["energy"][0], frames[3].get_potential_energy())


def test_existing_folder_is_not_changed(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(UserError, match="exists already"), new_folder(tmp_path):
        pass
    with pytest.raises(RuntimeError), new_folder(tmp_path / "new"):
        raise RuntimeError("it fails")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
