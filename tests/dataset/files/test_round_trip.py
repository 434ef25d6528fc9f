"""Datasets in files: exact numbers, atomic writing, safe reading."""

from __future__ import annotations

import gzip
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import write
from ase.units import GPa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiida_mlip_autopipec.dataset.trajectory import attach_labels
from aiida_mlip_autopipec.trainer.database import DatabaseManager

DATA = Path(__file__).parent / "data"
FORMATS = (".pckl.gzip", ".db", ".extxyz", ".traj")


def assert_same(first: Atoms, second: Atoms) -> None:
    """Compare all numbers and labels bit by bit."""
    assert np.array_equal(first.numbers, second.numbers)
    assert np.array_equal(first.pbc, second.pbc)
    assert first.positions.tobytes() == second.positions.tobytes()
    assert first.cell.array.tobytes() == second.cell.array.tobytes()
    assert first.calc.results["energy"] == second.calc.results["energy"]
    assert np.array_equal(first.calc.results["forces"], second.calc.results["forces"])
    assert ("stress" in first.calc.results) == ("stress" in second.calc.results)


@pytest.mark.parametrize("suffix", FORMATS)
def test_saved_structures_are_read_back_unchanged(suffix: str, labelled_copper: list[Atoms], tmp_path: Path) -> None:
    path = tmp_path / f"data{suffix}"
    assert DatabaseManager().save_dataset(labelled_copper, path) == path
    loaded = DatabaseManager().load_dataset(path)
    assert len(loaded) == len(labelled_copper)
    for before, after in zip(labelled_copper, loaded, strict=True):
        assert_same(before, after)
        assert after.info["family"] == before.info["family"]
    assert list(tmp_path.iterdir()) == [path]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), suffix=st.sampled_from(FORMATS), magnitude=st.floats(1e-8, 1e3))
def test_numbers_are_read_back_bit_for_bit(seed: int, suffix: str, magnitude: float, tmp_path: Path) -> None:
    random = np.random.default_rng(seed)
    atoms = Atoms(
        "CuAl", positions=random.normal(size=(2, 3)) * 3, cell=np.eye(3) * 9 + random.normal(size=(3, 3)), pbc=True
    )
    attach_labels(
        atoms, {"energy": float(random.normal() * magnitude), "forces": random.normal(size=(2, 3)) * magnitude}
    )
    path = tmp_path / f"data{suffix}"
    DatabaseManager().save_dataset([atoms], path)
    (loaded,) = DatabaseManager().load_dataset(path)
    assert_same(atoms, loaded)


@pytest.mark.parametrize("suffix", FORMATS)
def test_duplicates_are_not_written(suffix: str, labelled_copper: list[Atoms], tmp_path: Path) -> None:
    path = tmp_path / f"data{suffix}"
    DatabaseManager().save_dataset([*labelled_copper, labelled_copper[3]], path)
    assert len(DatabaseManager().load_dataset(path)) == len(labelled_copper)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("fault", ["nan_energy", "nan_force", "no_energy", "no_calculator"])
def test_a_faulty_label_names_the_structure_and_leaves_the_old_file(
    suffix: str, fault: str, labelled_copper: list[Atoms], tmp_path: Path
) -> None:
    path = tmp_path / f"data{suffix}"
    DatabaseManager().save_dataset(labelled_copper[:2], path)
    before = path.read_bytes()
    results = labelled_copper[3].calc.results
    if fault == "no_calculator":
        labelled_copper[3].calc = None
    elif fault == "no_energy":
        results.pop("energy")
    elif fault == "nan_energy":
        results["energy"] = float("nan")
    else:
        results["forces"] = np.full_like(results["forces"], np.nan)
    with pytest.raises(ValueError, match=r"structure 3 \(Cu, family fcc\)"):
        DatabaseManager().save_dataset(labelled_copper, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_pickle_has_the_columns_that_pacemaker_needs(labelled_copper: list[Atoms], tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    path = tmp_path / "data.pckl.gzip"
    DatabaseManager().save_dataset(labelled_copper, path)
    table = pandas.read_pickle(path, compression="gzip")
    assert {"ase_atoms", "energy", "energy_corrected", "forces"} <= set(table.columns)
    isolated = next(index for index, atoms in enumerate(labelled_copper) if len(atoms) == 1)
    assert table["energy_corrected"][isolated] == 0.0


class Evil:
    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple:
        return (os.system, (f"touch {self.witness}",))


def test_a_pickle_that_runs_code_is_not_read(tmp_path: Path) -> None:
    path, witness = tmp_path / "evil.pckl.gzip", tmp_path / "witness"
    with gzip.open(path, "wb") as handle:
        pickle.dump(Evil(witness), handle)
    with pytest.raises(ValueError, match="system"):
        DatabaseManager().load_dataset(path)
    assert not witness.exists()


def test_pickle_of_other_objects_is_read_only_with_the_flag(labelled_copper: list[Atoms], tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    path = tmp_path / "foreign.pckl.gzip"
    table = pandas.DataFrame(
        {
            "ase_atoms": labelled_copper,
            "energy": [atoms.get_potential_energy() for atoms in labelled_copper],
            "forces": [atoms.get_forces() for atoms in labelled_copper],
            "source": [Path("a/b")] * len(labelled_copper),
        }
    )
    table.to_pickle(path, compression="gzip")
    with pytest.raises(ValueError, match="trust_pickle=True"):
        DatabaseManager().load_dataset(path)
    loaded = DatabaseManager().load_dataset(path, trust_pickle=True)
    for before, after in zip(labelled_copper, loaded, strict=True):
        assert before.positions.tobytes() == after.positions.tobytes()
        assert before.get_potential_energy() == after.get_potential_energy()


@pytest.mark.parametrize("name", ["data.csv", "data", "data.gzip"])
def test_error_for_an_unknown_suffix_lists_the_allowed_ones(
    name: str, labelled_copper: list[Atoms], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"\.pckl\.gzip, \.db"):
        DatabaseManager().save_dataset(labelled_copper, tmp_path / name)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_damaged_file_is_an_error_that_names_it(suffix: str, labelled_copper: list[Atoms], tmp_path: Path) -> None:
    path = tmp_path / f"data{suffix}"
    DatabaseManager().save_dataset(labelled_copper, path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=rf"data\{suffix}"):
        DatabaseManager().load_dataset(path)


def test_empty_dataset_and_missing_file_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no structures"):
        DatabaseManager().save_dataset([], tmp_path / "data.db")
    with pytest.raises(FileNotFoundError):
        DatabaseManager().load_dataset(tmp_path / "data.db")


def test_extended_xyz_written_by_ase_is_read(labelled_copper: list[Atoms], tmp_path: Path) -> None:
    path = tmp_path / "data.xyz"
    write(path, [bulk("Cu"), *labelled_copper], format="extxyz")
    loaded = DatabaseManager().load_dataset(path)
    assert loaded[0].calc is None
    assert loaded[3].get_potential_energy() == pytest.approx(labelled_copper[2].get_potential_energy(), abs=1e-6)


def test_free_energy_is_read_from_an_output_of_vasp() -> None:
    (methane,) = DatabaseManager().load_dataset(DATA / "OUTCAR")
    assert methane.get_chemical_formula() == "CH4"
    assert methane.cell.volume == pytest.approx(957.93, abs=0.01)
    # TOTEN, not the energy extrapolated to zero smearing.
    assert methane.get_potential_energy() == 18.25453698
    assert methane.get_forces()[4].tolist() == [0.486103, 1.596214, -1.368809]
    in_kilobar = [-32.54257, -32.54409, -34.19194, 2.10914, 0.58973, 1.87042]
    assert methane.get_stress() == pytest.approx(-0.1 * GPa * np.array(in_kilobar), abs=1e-6)


def test_a_truncated_output_of_vasp_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "OUTCAR"
    text = (DATA / "OUTCAR").read_text()
    path.write_text(text[: text.index("POSITION")])
    with pytest.raises(ValueError, match="OUTCAR"):
        DatabaseManager().load_dataset(path)
