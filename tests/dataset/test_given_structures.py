"""The user's structures: formats that are read, and structures that are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from ase import Atoms
from ase.build import bulk, fcc111
from ase.io import write

from aiida_mlip_autopipec.config.schemas.structures import StructureSource
from aiida_mlip_autopipec.dataset.files.geometry import read_geometries
from aiida_mlip_autopipec.dataset.given_structures import prepare_given
from aiida_mlip_autopipec.dataset.trajectory import to_atoms, to_trajectories

ROCKSALT = """data_MgO
_cell_length_a 4.212
_cell_length_b 4.212
_cell_length_c 4.212
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'F m -3 m'
_symmetry_Int_Tables_number 225
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Mg1 Mg 0 0 0 1
O1 O 0.5 0.5 0.5 {occupancy}
"""


def test_a_cif_is_expanded_by_its_symmetry(tmp_path: Path) -> None:
    (tmp_path / "mgo.cif").write_text(ROCKSALT.format(occupancy=1))
    (atoms,) = read_geometries(tmp_path / "mgo.cif")
    assert atoms.get_chemical_formula() == "Mg4O4"


def test_partial_occupancy_is_refused_with_the_name_of_the_site(tmp_path: Path) -> None:
    (tmp_path / "mgo.cif").write_text(ROCKSALT.format(occupancy=0.9))
    with pytest.raises(ValueError, match=r"mgo\.cif: frame 0, site O1: occupancy 0\.9"):
        read_geometries(tmp_path / "mgo.cif")


@pytest.mark.parametrize(
    "name",
    [
        "POSCAR",
        "CONTCAR_2",
        "a.vasp",
        "a.cif",
        "a.extxyz",
        "a.traj",
        "a.db",
        "A.CIF",
        "A.EXTXYZ",
        "a.Traj",
        "a.XYZ",
        "a.DB",
    ],
)
def test_each_format_gives_the_same_crystal(tmp_path: Path, name: str) -> None:
    crystal = bulk("NiAl", "cesiumchloride", a=2.9)
    vasp = "vasp" in name or name.startswith(("POSCAR", "CONTCAR"))
    written = tmp_path / f"written{Path(name).suffix.lower()}"
    write(written, crystal, format="vasp" if vasp else "extxyz" if "xyz" in name.lower() else None)
    written.rename(tmp_path / name)
    (atoms,) = read_geometries(tmp_path / name)
    assert atoms.get_chemical_formula() == "AlNi"
    assert atoms.cell.volume == pytest.approx(crystal.cell.volume, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.cif", None, "there is no such file"),
        ("empty.cif", "", "the file is empty"),
        ("text.cif", "no crystal", "no CIF data block"),
        ("POSCAR", "x\n1.0\n", "only 2 lines: incomplete"),
        ("a.docx", "x", "unknown format"),
    ],
)
def test_error_names_the_file_that_cannot_be_read(tmp_path: Path, name: str, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=message) as error:
        read_geometries(tmp_path / name)
    assert name in str(error.value)


@pytest.mark.parametrize(
    ("atoms", "message"),
    [
        (Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 0.4]], cell=[9, 9, 9], pbc=True), "atom 0.*atom 1.*overlap"),
        (bulk("Cu").repeat(6), "216 atoms, but at most 200"),
        (Atoms("X", cell=[9, 9, 9], pbc=True), "not a chemical element"),
        (Atoms("Cu", pbc=True), "no vector"),
    ],
)
def test_structures_that_cannot_be_labelled_are_refused(atoms: Atoms, message: str) -> None:
    with pytest.raises(ValueError, match=rf"a\.cif, frame 0.*{message}"):
        prepare_given([atoms], StructureSource(file="a.cif"), max_atoms=200)


def test_a_slab_of_mixed_periodicity_gets_vacuum() -> None:
    lines: list[str] = []
    (slab,) = prepare_given(
        [fcc111("Cu", (1, 1, 3), vacuum=2.0)], StructureSource(file="s.xyz"), max_atoms=9, warn=lines.append
    )
    assert slab.pbc.all()
    assert "made periodic" in lines[0]


def test_origin_role_and_weight_survive_storage(aiida_profile: object) -> None:
    given = prepare_given([bulk("Cu")], StructureSource(file="cu.cif", role="phase", weight=2.0), max_atoms=9)
    (trajectory,) = to_trajectories([*given, bulk("Cu")]).values()
    first, second = to_atoms(trajectory)
    assert first.info == {**given[0].info, "origin": "Cu: cu.cif, frame 0"}
    assert "origin" not in second.info
