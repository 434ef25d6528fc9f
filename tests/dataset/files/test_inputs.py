"""Structures in inputs of VASP and pw.x, and in plain XYZ: what is read, and what is refused with the line or site."""

from __future__ import annotations

from pathlib import Path

import pytest
from ase import Atoms

from aiida_mlip_autopipec.dataset.files.geometry import read_geometries

POSCAR = """{comment}
3.6
1 0 0
0 1 0
0 0 1
{symbols}3 1
Direct
0 0 0
.5 .5 0
.5 0 .5
0 .5 .5
"""

PW = """&control
/
&System
 ibrav = 0, nat = 2, ntyp = 1, ecutwfc = 20, A = 4
/
ATOMIC_SPECIES
Cu1 63.5 Cu.UPF
ATOMIC_POSITIONS crystal
Cu1 0 0 0 ! the origin
Cu1 1/2 {coordinate} 0.5
K_POINTS gamma
cell_parameters alat
1.0d0 0 0
0 1 0
0 0 1
"""

METHANE = """5
{comment}
C 0.00000 0.00000 0.00000
H 0.62912 0.62912 0.62912
H -0.62912 -0.62912 0.62912
H 0.62912 -0.62912 -0.62912
H -0.62912 0.62912 -0.62912
"""


def read_text(folder: Path, name: str, text: str) -> Atoms:
    (folder / name).write_text(text)
    (atoms,) = read_geometries(folder / name)
    return atoms


@pytest.mark.parametrize(("comment", "symbols"), [("x", "Al_pv Ni/0a1b\n"), ("Al Ni", ""), ("NiAl", "Al Ni ! two\n")])
def test_a_poscar_names_its_elements(tmp_path: Path, comment: str, symbols: str) -> None:
    atoms = read_text(tmp_path, "POSCAR", POSCAR.format(comment=comment, symbols=symbols))
    assert atoms.get_chemical_formula() == "Al3Ni"
    assert atoms.cell.lengths() == pytest.approx([3.6] * 3)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Al Ni\n", "", r"does not name the elements \(VASP 4\): insert them"),
        ("Al Ni\n", "Al Ow\n", "line 6: 'Ow' is not a chemical element: write O"),
        ("Al Ni\n", "Al Ni O\n", "line 6 has 3 elements, but line 7 2 numbers of atoms"),
        ("3 1\n", "3 2\n", r"line 13 has no coordinates of site 5 \(Ni\): the numbers of atoms say that there are 5"),
        ("3 1\n", "3 one\n", "line 7 must have the number of atoms"),
        ("Direct\n", "", "line 8 must be Direct or Cartesian"),
        (".5 .5 0\n", ".5 x 0\n", r"line 10 has no coordinates of site 2 \(Al\)"),
        ("0 1 0\n", "0 1\n", "line 4 must have the three numbers of a lattice vector"),
    ],
)
def test_an_incomplete_poscar_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = POSCAR.format(comment="no symbols here", symbols="Al Ni\n")
    assert old in text
    with pytest.raises(ValueError, match=rf"POSCAR: {message}"):
        read_text(tmp_path, "POSCAR", text.replace(old, new))


@pytest.mark.parametrize(("coordinate", "value"), [("1/3", 4 / 3), ("0.25d0", 1.0), ("5D-1", 2.0), ("2*0.25", 2.0)])
def test_a_pw_input_may_have_fractions_and_exponents_of_fortran(tmp_path: Path, coordinate: str, value: float) -> None:
    atoms = read_text(tmp_path, "a.pwi", PW.format(coordinate=coordinate))
    assert atoms.positions[1] == pytest.approx([2.0, value, 2.0])
    assert atoms.cell.lengths() == pytest.approx([4.0] * 3)
    assert atoms.pbc.all()


@pytest.mark.parametrize(
    ("length", "unit"), [("A = 4", ""), ("a = 4.0d0", "{alat}"), ("celldm(1) = 7.558904533", "alat")]
)
def test_cell_of_a_pw_input_in_units_of_its_lattice_parameter(tmp_path: Path, length: str, unit: str) -> None:
    text = PW.format(coordinate="0.5").replace("A = 4", length).replace("alat", unit)
    assert read_text(tmp_path, "a.pwi", text).cell.lengths() == pytest.approx([4.0] * 3)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("1/2 0.5", "1/2 half", r"site 1 \(Cu1, counted from 0\): the coordinate half cannot be read"),
        ("1/2 0.5", "6/2/3 0.5", r"site 1 \(Cu1, counted from 0\): the coordinate 6/2/3 cannot be read"),
        ("1/2 0.5 0.5\n", "1/2\n", r"site 1 \(Cu1, counted from 0\): does not have three coordinates"),
        ("nat = 2", "nat = 3", "ATOMIC_POSITIONS has 2 sites, but nat is 3"),
        ("nat = 2,", "", "&SYSTEM has no integer nat"),
        ("ibrav = 0", "ibrav = 2", "ibrav = 2 is not read: use ibrav = 0 and CELL_PARAMETERS"),
        ("cell_parameters", "! cell_parameters", "ibrav = 0 needs CELL_PARAMETERS"),
        ("alat", "angstrom", "Lattice parameters given in &SYSTEM celldm/A and CELL_PARAMETERS"),
        ("&System", "&ions", "is not an input of pw.x"),
    ],
)
def test_a_pw_input_that_would_be_read_wrongly_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = PW.format(coordinate="0.5")
    assert old in text
    with pytest.raises(ValueError, match=rf"a\.in: {message}"):
        read_text(tmp_path, "a.in", text.replace(old, new))


@pytest.mark.parametrize(
    "comment", ["forces converged", "no stress", "energy -1.2 virial", "stress=5", "forces=converged", ""]
)
def test_words_that_name_labels_do_not_disturb_a_geometry(tmp_path: Path, comment: str) -> None:
    assert read_text(tmp_path, "a.XYZ", METHANE.format(comment=comment)).get_chemical_formula() == "CH4"


def test_a_cell_under_a_name_that_would_be_ignored_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"frame 0 .*line 2: the cell must be named Lattice, not lattice"):
        read_text(tmp_path, "a.xyz", METHANE.format(comment='lattice="9 0 0 0 9 0 0 0 9"'))
    assert read_text(tmp_path, "b.xyz", METHANE.format(comment="lattice=fcc")).info["lattice"] == "fcc"
