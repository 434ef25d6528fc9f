"""Labels are found under all common names, and never mixed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.db import connect
from ase.io import write
from ase.stress import voigt_6_to_full_3x3_stress

from aiida_mlip_autopipec.config.schemas.label_keys import LabelKeys
from aiida_mlip_autopipec.dataset.files import read_file
from aiida_mlip_autopipec.trainer.database import DatabaseManager

ENERGY = -7.25
STRESS = np.array([0.01, -0.02, 0.03, 0.004, 0.005, -0.006])
FORCES = np.array([[0.1, 0.2, -0.3], [-0.1, -0.2, 0.3]])
SUFFIXES = (".extxyz", ".traj", ".db", ".pckl.gzip")


@pytest.fixture
def silicon() -> Atoms:
    atoms = Atoms("Si2", positions=[[0, 0, 0], [1.3, 1.4, 1.5]], cell=np.eye(3) * 5.0 + 0.1, pbc=True)
    atoms.info["config_type"] = "dimer"
    return atoms


def store(path: Path, atoms: Atoms, **values: Any) -> Path:
    """Write a structure with values under any name, as other programs do."""
    per_atom = {name: value for name, value in values.items() if np.shape(value)[:1] == (2,)}
    per_frame = {name: value for name, value in values.items() if name not in per_atom}
    if path.name.endswith(".pckl.gzip"):
        pandas = pytest.importorskip("pandas")
        columns = {"ase_atoms": [atoms], **{name: [value] for name, value in values.items()}}
        pandas.DataFrame(columns).to_pickle(path, compression="gzip", protocol=4)
    elif path.suffix == ".db":
        with connect(path) as database:
            database.write(atoms, data={"info": atoms.info, **values})
    else:
        atoms = atoms.copy()
        atoms.info.update(per_frame)
        if path.suffix == ".traj":  # which stores only the arrays of ASE
            atoms.info.update(per_atom)
            per_atom = {}
        for name, value in per_atom.items():
            atoms.set_array(name, np.asarray(value))
        six = {}
        if path.suffix == ".extxyz":
            six = {key: atoms.info.pop(key) for key in ("stress", "virial") if np.shape(atoms.info.get(key)) == (6,)}
        write(path, atoms)
        for name, value in six.items():  # ASE does not write these
            path.write_text(path.read_text().replace('pbc="', f'{name}="{" ".join(map(str, value))}" pbc="', 1))
    return path


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("energy", "forces"),
    [
        ("energy", "forces"),
        ("Energy", "force"),
        ("free_energy", "forces"),
        ("REF_energy", "REF_forces"),
        ("ref_energy", "ref_force"),
        ("dft_energy", "dft_force"),
        ("DFT_energy", "DFT_forces"),
        ("energy", "REF_forces"),
    ],
)
def test_common_label_names_are_found(suffix: str, energy: str, forces: str, silicon: Atoms, tmp_path: Path) -> None:
    path = store(tmp_path / f"data{suffix}", silicon, **{energy: ENERGY, forces: FORCES})
    (atoms,) = read_file(path, require_labels=True).frames
    assert atoms.calc.results["energy"] == ENERGY
    assert np.allclose(atoms.calc.results["forces"], FORCES, atol=1e-7)
    assert atoms.info == {"config_type": "dimer"}


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", ["stress", "REF_stress", "virial", "virials", "REF_virial", "dft_virials"])
@pytest.mark.parametrize("components", [6, 9])
def test_stress_and_virial_are_read_as_stress_with_the_sign_of_ase(
    suffix: str, name: str, components: int, silicon: Atoms, tmp_path: Path
) -> None:
    tensor = STRESS if components == 6 else voigt_6_to_full_3x3_stress(STRESS).ravel()
    if "virial" in name:
        tensor = -silicon.get_volume() * tensor
    path = store(tmp_path / f"data{suffix}", silicon, energy=ENERGY, forces=FORCES, **{name: tensor})
    (atoms,) = read_file(path, require_labels=True).frames
    assert np.allclose(atoms.calc.results["stress"], STRESS, atol=1e-7)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_free_energy_has_precedence_over_energy(suffix: str, silicon: Atoms, tmp_path: Path) -> None:
    path = store(tmp_path / f"data{suffix}", silicon, energy=ENERGY + 0.1, free_energy=ENERGY, forces=FORCES)
    (atoms,) = read_file(path).frames
    assert atoms.calc.results["energy"] == ENERGY


def test_note_on_files_in_which_only_some_frames_have_a_free_energy(silicon: Atoms, tmp_path: Path) -> None:
    path, other = tmp_path / "data.extxyz", tmp_path / "other.extxyz"
    store(path, silicon, energy=ENERGY + 0.1, free_energy=ENERGY, forces=FORCES)
    store(other, silicon, energy=ENERGY, forces=FORCES)
    path.write_text(path.read_text() + other.read_text())
    assert "1 have only an energy" in " ".join(read_file(path).messages())


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({"REF_energy": ENERGY + 0.5}, ("energy", "REF_energy", "0.5")),
        ({"dft_force": -FORCES}, ("forces", "dft_force")),
        ({"stress": STRESS, "virial": STRESS}, ("stress", "virial")),
    ],
)
def test_different_labels_under_two_names_are_an_error(
    suffix: str, values: dict[str, Any], names: tuple[str, ...], silicon: Atoms, tmp_path: Path
) -> None:
    path = store(tmp_path / f"data{suffix}", silicon, **{"energy": ENERGY, "forces": FORCES, **values})
    with pytest.raises(ValueError, match="frame 0") as error:
        read_file(path)
    assert all(name in str(error.value) for name in (*names, "--keys"))


def test_equal_labels_under_two_names_are_accepted(silicon: Atoms, tmp_path: Path) -> None:
    virial = -silicon.get_volume() * voigt_6_to_full_3x3_stress(STRESS).ravel()
    path = store(
        tmp_path / "data.extxyz", silicon, energy=ENERGY, REF_energy=ENERGY, forces=FORCES, stress=STRESS, virial=virial
    )
    (atoms,) = read_file(path).frames
    assert np.allclose(atoms.calc.results["stress"], STRESS, atol=1e-7)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_keys_select_the_label_names(suffix: str, silicon: Atoms, tmp_path: Path) -> None:
    values = {"energy": 1.0, "mace_energy": ENERGY, "forces": -FORCES, "mace_f": FORCES, "stress": STRESS}
    virial = -silicon.get_volume() * STRESS
    path = store(tmp_path / f"data{suffix}", silicon, **values, w=virial * 2)
    (atoms,) = read_file(path, LabelKeys.parse("energy=mace_energy, forces=mace_f,virial=w")).frames
    assert atoms.calc.results["energy"] == ENERGY
    assert np.allclose(atoms.calc.results["forces"], FORCES, atol=1e-7)
    assert np.allclose(atoms.calc.results["stress"], 2 * STRESS, atol=1e-7)
    assert atoms.info == {"config_type": "dimer"}
    with pytest.raises(ValueError, match=r"no e_dft, which --keys gives as energy; the frame has: .*mace_energy"):
        read_file(path, LabelKeys(energy="e_dft"))


@pytest.mark.parametrize("text", ["", "energy", "energy=", "e=x", "energy=a,energy=b", "stress=a,virial=b", "=x"])
def test_invalid_keys_are_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"--keys"):
        LabelKeys.parse(text)


def test_error_without_known_labels_lists_the_values_of_the_frame(silicon: Atoms, tmp_path: Path) -> None:
    path = store(tmp_path / "data.extxyz", silicon, e_total=ENERGY, gradient=-FORCES)
    with pytest.raises(ValueError, match="frame 0") as error:
        read_file(path, require_labels=True)
    assert all(word in str(error.value) for word in ("no energy and no forces", "e_total", "gradient (shape (2, 3))"))


@pytest.mark.parametrize(
    "values",
    [
        {"energy": [1.0, 2.0, 3.0]},
        {"forces": FORCES[:, :2]},
        {"stress": [1.0, 2.0, 3.0]},
        {"virial": np.arange(9.0)},
        {"REF_energy": "low"},
    ],
)
def test_values_of_wrong_type_or_shape_are_refused(values: dict[str, Any], silicon: Atoms, tmp_path: Path) -> None:
    path = store(tmp_path / "data.pckl.gzip", silicon, **{"energy": ENERGY, "forces": FORCES, **values})
    with pytest.raises(ValueError, match=next(iter(values))):
        read_file(path)


def test_note_on_a_virial_of_a_cell_without_volume(silicon: Atoms, tmp_path: Path) -> None:
    silicon.cell[:] = 0.0
    silicon.pbc = False
    path = store(tmp_path / "data.traj", silicon, energy=ENERGY, forces=FORCES, virial=STRESS)
    result = read_file(path)
    assert "stress" not in result.frames[0].calc.results
    assert "1 structures have a virial that is not used" in result.messages()[0]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_names_of_labels_in_info_are_not_written(suffix: str, silicon: Atoms, tmp_path: Path) -> None:
    silicon.info["REF_energy"] = ENERGY + 1.0
    silicon.calc = SinglePointCalculator(silicon, energy=ENERGY, forces=FORCES)
    path = DatabaseManager().save_dataset([silicon], tmp_path / f"data{suffix}")
    (atoms,) = DatabaseManager().load_dataset(path)
    assert atoms.calc.results["energy"] == ENERGY


def frames_of(*comments: str) -> str:
    """Return frames of one copper atom in extended XYZ, with these ends of their comment lines."""
    head = '1\nLattice="3 0 0 0 3 0 0 0 3" Properties=species:S:1:pos:R:3:forces:R:3'
    return "".join(f"{head} {comment}\nCu 0 0 0 0 0 0\n" for comment in comments)


@pytest.mark.parametrize(
    ("comments", "note"),
    [
        (["charge=0", "charge=1", "charge=-1", "charge=1"], r"charged structures \(1 with -1, 2 with \+1\)"),
        (["total_charge=2.0"], r"1 with \+2"),
        (["charge=0", "charge=0.0", "", "charge=n/a"], None),
        (["set=train", "set=Test"], "2 structures have the key 'set', which is not used: name it 'split'"),
        (["set=train split=train", "set=A7"], None),
    ],
)
def test_note_on_charges_and_on_a_split_of_another_name(comments: list[str], note: str | None, tmp_path: Path) -> None:
    path = tmp_path / "data.xyz"
    path.write_text(frames_of(*(f"energy=-3.5 {comment}" for comment in comments)))
    messages = " ".join(read_file(path, require_labels=True).messages())
    assert re.search(note, messages) if note else not messages


def test_frames_without_labels_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "data.xyz"
    path.write_text(frames_of("energy=-3.5", "", "energy=-3.5", "", ""))
    with pytest.raises(
        ValueError, match=r"data\.xyz: frame 1 .*no energy under a common name.*3 of 5 frames lack labels"
    ):
        read_file(path, require_labels=True)


def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "data.xyz"
    path.write_text(frames_of("energy=-3.5", "energy=-3.25"), encoding="utf-8-sig")
    assert [atoms.calc.results["energy"] for atoms in read_file(path).frames] == [-3.5, -3.25]


@pytest.mark.parametrize("name", ["energy", "REF_energy"])
def test_a_name_without_a_value_is_no_energy(name: str, tmp_path: Path) -> None:
    path = tmp_path / "data.xyz"
    path.write_text(frames_of(f"{name}=-3.5", name))
    with pytest.raises(ValueError, match=rf"data\.xyz: frame 1 .*{name} is true or false, .*write {name}=NUMBER"):
        read_file(path)
