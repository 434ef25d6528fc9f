"""CIF: the symmetry and the sites that are read, and the files that are refused instead of read wrongly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import spglib
from ase import Atoms
from ase.build import bulk
from ase.io import write

from aiida_mlip_autopipec.dataset.files import symmetry
from aiida_mlip_autopipec.dataset.files.geometry import read_geometries

DATA = Path(__file__).parent / "data" / "cif"
ANGLES = ("alpha", "beta", "gamma")
CUBE = "".join(f"_cell_length_{axis} 5.43\n_cell_angle_{angle} 90\n" for axis, angle in zip("abc", ANGLES, strict=True))
COLUMNS = "label type_symbol fract_x fract_y fract_z"


def table(*rows: str, columns: str = COLUMNS) -> str:
    return "loop_\n" + "".join(f"_atom_site_{name}\n" for name in columns.split()) + "\n".join(rows) + "\n"


SILICON = table("Si1 Si .125 .125 .125")


def read_text(folder: Path, *parts: str) -> Atoms:
    (folder / "a.cif").write_text("data_a\n" + "".join(parts))
    (atoms,) = read_geometries(folder / "a.cif")
    return atoms


@pytest.mark.parametrize(
    ("name", "formula", "nearest"),
    [
        ("magnetic", "Ni4O4", 2.085),
        ("hall", "Si8", 2.351),
        ("dots", "Cu4", 2.553),
        ("rhombohedral", "Bi2", 3.11),
        ("hexagonal", "Bi6", 3.11),
        ("name_with_operations", "Cu4", 3.077),
        ("operations_only", "Cu4", 3.201),
        ("unknown_name", "Cu2", 3.946),
        ("rounded", "Ti2", 2.894),
        ("upper_case_types", "ClCu", 3.464),
        ("one_site", "Cu", 4.0),
        ("listed_twice", "Cu4", 2.553),
        ("axis_c", "Cu4", 2.533),
    ],
)
def test_the_symmetry_of_a_file_is_applied(name: str, formula: str, nearest: float) -> None:
    (atoms,) = read_geometries(DATA / f"{name}.cif")
    assert atoms.get_chemical_formula() == formula
    assert atoms.pbc.all()
    pairs = atoms.repeat(3).get_all_distances()
    assert pairs[pairs > 0].min() == pytest.approx(nearest, abs=2e-3)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ((CUBE, "_space_group_IT_number 227\n", SILICON), "number 227 has several origins"),
        ((CUBE, "_symmetry_space_group_name_H-M 'F d -3 m'\n", SILICON), "F d -3 m has several origins.*VESTA"),
        ((CUBE, "_space_group_IT_number 62\n", SILICON), "number 62 has several"),
        ((CUBE, "_symmetry_space_group_name_H-M 'F m -3 n m'\n", SILICON), "'?F m -3 n m'? is unknown"),
        (
            (CUBE, "_space_group_IT_number 225\n_symmetry_space_group_name_H-M 'P 1'\n", SILICON),
            "contradict each other",
        ),
        ((CUBE, "_symmetry_space_group_name_H-M 'P 63/m m c'\n", SILICON), "cell contradict the space group"),
        ((CUBE, "_symmetry_cell_setting cubic\n", SILICON), "given only by _symmetry_cell_setting"),
        ((CUBE, "_space_group_magn.number_BNS 225.116\n", SILICON), "given only by _space_group_magn_number_bns"),
        ((CUBE, "_cell_modulation_dimension 1\n", SILICON), "modulated"),
        (
            (CUBE, "_symmetry_space_group_name_H-M 'F m -3 m'\n_symmetry_equiv_pos_as_xyz x,y,z\n", SILICON),
            "name F m -3 m of the space group contradicts the 1 operations",
        ),
        (
            (CUBE, "_space_group_IT_number 2\nloop_\n_symmetry_equiv_pos_as_xyz\nx,y,z\n-x,-y,z\n", SILICON),
            r"number 2 of the space group contradicts the 2 operations, which are those of P2 \(number 3\)",
        ),
        ((CUBE, "loop_\n_symmetry_equiv_pos_as_xyz\nx,y,z\n-y,x,z\n", SILICON), "2 operations are incomplete"),
        (
            (CUBE, "loop_\n_symmetry_equiv_pos_as_xyz\nx,y,z\n-y,x-y,z\n-x+y,-x,z\n", SILICON),
            "cell contradict the operations",
        ),
        (
            (CUBE, "loop_\n_symmetry_equiv_pos_as_xyz\nx,y,z\na,b,c\n", SILICON),
            "the operation 'a,b,c' is not one such as",
        ),
        (
            (CUBE, table("Si1 Si 0 0 0 8", columns=f"{COLUMNS} symmetry_multiplicity")),
            "site Si1 has the multiplicity 8, but 1",
        ),
        ((SILICON,), "the cell: _cell_length_a is not given"),
        ((CUBE.replace("5.43", "0"), SILICON), "span no volume"),
        ((CUBE.replace("5.43", "5,43"), SILICON), "_cell_length_a is 5,43, not a number"),
        ((CUBE, table("C1 C 0 0 0 2", columns=f"{COLUMNS} occupancy")), "site C1: occupancy 2 is more than 1"),
        (
            (CUBE, "_space_group_name_Hall '-F 4 2 3'\n_symmetry_equiv_pos_as_xyz x,y,z\n", SILICON),
            "Hall symbol -F 4 2 3 of the space group contradicts the 1 operations",
        ),
        ((CUBE, table("Cu1 Cu 0 0 0", "Ni1 Ni 0 0 0")), "site Ni1: Ni is where site Cu1 has Cu; disordered"),
        (
            (CUBE, "_symmetry_space_group_name_H-M 'F m -3 m'\n", table("Cu1 Cu 0 0 0", "Ni1 Ni .5 .5 0")),
            "site Ni1: Ni is where site Cu1 has Cu",
        ),
        ((CUBE, table("Si1 Si 0 0 0", "H1 H ? ? ?")), r"site H1: _atom_site_fract_x is \?, not a number"),
        ((CUBE, table("Q1 Ow 0 0 0")), "site Q1: its _atom_site_type_symbol 'Ow' is not a chemical element: write O"),
        ((CUBE, table("Q1 ? 0 0 0")), "site Q1: its _atom_site_type_symbol"),
        ((CUBE, table("C1 C 0 0 0 1", columns=f"{COLUMNS} attached_hydrogens")), "site C1: has 1 attached hydrogen"),
        ((CUBE, table("C1 C 0 0 0 dum", columns=f"{COLUMNS} calc_flag")), "site C1: is marked as a dummy"),
        (
            (CUBE, table("C1 C 0 0 0 1", "C2 C .5 0 0 2", columns=f"{COLUMNS} disorder_group")),
            "site C2: is an alternative",
        ),
        (
            (CUBE, table("C1 C 0 0 0 half", columns=f"{COLUMNS} occupancy")),
            "site C1: its occupancy half is not a number",
        ),
        ((CUBE, table("C1 C 0 0 0", "C2 C 0.5 0 0 0.5")), "a row has 6 values instead of 5"),
    ],
)
def test_what_would_be_read_wrongly_is_refused(tmp_path: Path, parts: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        read_text(tmp_path, *parts)
    assert str(error.value).startswith(f"{tmp_path / 'a.cif'}: ")


@pytest.mark.parametrize(
    ("label", "element"),
    [("Cu1", "Cu"), ("O", "O"), ("OW1", "O"), ("ZR2", "Zr"), ("D1", "H"), ("Ca1", "Ca"), ("CB2", "C")],
)
def test_a_label_names_the_element_if_there_are_no_types(tmp_path: Path, label: str, element: str) -> None:
    atoms = read_text(tmp_path, CUBE, table(f"{label} 0 0 0", columns="label fract_x fract_y fract_z"))
    assert atoms.get_chemical_formula() == element


@pytest.mark.parametrize("label", ["CA1", "NA1", "CL1", "CO", "Ow1", "1", "Q1"])
def test_a_label_that_may_be_two_elements_is_refused(tmp_path: Path, label: str) -> None:
    with pytest.raises(ValueError, match=rf"frame 0, site {label}: its label .*_atom_site_type_symbol"):
        read_text(tmp_path, CUBE, table(f"{label} 0 0 0", columns="label fract_x fract_y fract_z"))


def test_the_frame_in_a_message_is_that_of_the_structure(tmp_path: Path) -> None:
    (tmp_path / "a.cif").write_text(f"data_a\n{CUBE}{SILICON}data_note\n_audit x\ndata_b\n{SILICON}")
    with pytest.raises(ValueError, match=r"a\.cif: frame 1, the cell"):
        read_geometries(tmp_path / "a.cif")


def test_operations_in_one_line(tmp_path: Path) -> None:
    operations = "loop_\n_symmetry_equiv_pos_as_xyz\n'x, y, z' '-x, -y, -z'\n"
    assert len(read_text(tmp_path, operations, CUBE, SILICON)) == 2


def test_byte_order_mark_and_line_ends_of_other_systems(tmp_path: Path) -> None:
    (tmp_path / "a.cif").write_bytes(b"\xef\xbb\xbf" + f"data_a\n{CUBE}{SILICON}".replace("\n", "\r\n").encode())
    assert len(read_geometries(tmp_path / "a.cif")[0]) == 1


@pytest.mark.parametrize("crystal", [bulk("Si"), bulk("Ti"), bulk("NiAl", "cesiumchloride", a=2.9).repeat((2, 1, 1))])
def test_a_file_of_ase_gives_the_same_crystal(tmp_path: Path, crystal: Atoms) -> None:
    write(tmp_path / "a.cif", crystal)
    (atoms,) = read_geometries(tmp_path / "a.cif")
    assert atoms.get_chemical_formula() == crystal.get_chemical_formula()
    assert atoms.get_all_distances(mic=True) == pytest.approx(crystal.get_all_distances(mic=True), abs=1e-4)


@pytest.mark.parametrize("hall", [1, 2, 64, 82, 92, 226, 294, 306, 324, 433, 434, 458, 459, 501, 525, 526, 530])
def test_each_setting_is_found_by_its_names(hall: int) -> None:
    group = spglib.get_spacegroup_type(hall)
    assert hall in symmetry._named(group.international_full)
    assert symmetry._of_hall(group.hall_symbol) >= {hall}
    assert {spglib.get_spacegroup_type(found).number for found in symmetry._named(group.international_full)} == {
        group.number
    }


@pytest.mark.parametrize(
    ("name", "hall"),
    [
        ("F d -3 m :2", 526),
        ("Fd-3m:1", 525),
        ("F d -3 m S", 525),
        ("F d 3 m Z", 526),
        ("R -3 m :H", 458),
        ("R-3mR", 459),
        ("P 63/m m c", 488),
        ("P6_3/mmc", 488),
        ("C m c a", 304),
        ("P b n m", 294),
        ("P 1 21/n 1", 82),
    ],
)
def test_names_as_programs_write_them(name: str, hall: int) -> None:
    assert symmetry._named(name) == {hall}


POINT = np.array([0.113, 0.287, 0.061])


@pytest.mark.parametrize("hall", range(1, 531, 11))
def test_operations_and_names_of_each_setting_give_its_images_or_an_error(tmp_path: Path, hall: int) -> None:
    operations, group = symmetry._of_database(hall), spglib.get_spacegroup_type(hall)
    name = group.international_full.replace("_", "")
    lines = "".join(
        f"'{operation_text(*operation)}'\n"
        for operation in zip(operations.rotations, operations.translations, strict=True)
    )
    symmetries = {
        "operations": f"_symmetry_space_group_name_H-M '{name}'\nloop_\n_symmetry_equiv_pos_as_xyz\n{lines}",
        "hall": f"_space_group_name_Hall '{group.hall_symbol}'\n",
        "name": f"_space_group_name_H-M_alt '{name}'\n",
        "number": f"_space_group_IT_number {group.number}\n",
    }
    images = operations.images(POINT) % 1.0
    for kind, text in symmetries.items():
        site = table("C1 C {} {} {}".format(*POINT))
        try:
            found = read_text(tmp_path, text, fitting_cell(operations), site).get_scaled_positions()
        except ValueError:
            assert kind in ("name", "number")
            continue
        assert len(found) == len(images)
        steps = found[:, None] - images[None]
        assert np.abs(steps - np.rint(steps)).max(axis=2).min(axis=1).max() < 1e-4


def operation_text(rotation: np.ndarray, translation: np.ndarray) -> str:
    parts = []
    for row, shift in zip(rotation, translation % 1.0, strict=True):
        part = "".join(f"{'+' if sign > 0 else '-'}{axis}" for sign, axis in zip(row, "xyz", strict=True) if sign)
        parts.append(f"{part}+{shift:.4f}" if shift > 1e-6 else part)
    return ",".join(parts)


def fitting_cell(operations: symmetry.Operations) -> str:
    """Return a cell without more symmetry than the operations need."""
    metric = np.array([[48.0, 5.0, 7.0], [5.0, 60.0, -3.0], [7.0, -3.0, 78.0]])
    metric = np.mean(operations.rotations.transpose(0, 2, 1) @ metric @ operations.rotations, axis=0)
    lengths = np.sqrt(np.diag(metric))
    angles = np.degrees(np.arccos(metric / np.outer(lengths, lengths)))[[1, 0, 0], [2, 2, 1]]
    tags = [f"length_{axis}" for axis in "abc"] + [f"angle_{angle}" for angle in ANGLES]
    return "".join(f"_cell_{tag} {value:.5f}\n" for tag, value in zip(tags, [*lengths, *angles], strict=True))
