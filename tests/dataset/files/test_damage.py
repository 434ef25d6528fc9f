"""Damaged files raise an error; they never give wrong numbers or hang the reader."""

from __future__ import annotations

import gzip
import os
import pickle
import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from aiida_mlip_autopipec.dataset.files import read_file
from aiida_mlip_autopipec.dataset.files.checks import checksum
from aiida_mlip_autopipec.trainer.database import DatabaseManager

from .test_round_trip import DATA

ROOT = Path(__file__).parents[3]
BINARY = (".pckl.gzip", ".db", ".traj")


@pytest.fixture
def two_frames() -> list[Atoms]:
    frames = []
    for number in range(2):
        dice = np.random.default_rng(number)
        atoms = Atoms(
            "CuAl", positions=dice.normal(size=(2, 3)), cell=np.eye(3) * 6 + dice.normal(size=(3, 3)), pbc=True
        )
        atoms.info["family"] = f"kind {number}"
        atoms.calc = SinglePointCalculator(
            atoms, energy=float(dice.normal()), forces=dice.normal(size=(2, 3)), stress=dice.normal(size=6)
        )
        frames.append(atoms)
    return frames


@pytest.mark.parametrize("suffix", BINARY)
def test_flipped_bit_is_never_read_as_another_number(suffix: str, two_frames: list[Atoms], tmp_path: Path) -> None:
    path = DatabaseManager().save_dataset(two_frames, tmp_path / f"data{suffix}")
    content, expected = path.read_bytes(), checksum(two_frames)
    dice, refused = random.Random(3), 0
    for _ in range(200):
        changed = bytearray(content)
        changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
        path.write_bytes(changed)
        try:
            frames = read_file(path).frames
        except ValueError as error:
            assert str(path) in str(error)
            refused += 1
        else:
            assert checksum(frames) == expected
    # Most pages of such a small database are empty.
    assert refused > (5 if suffix == ".db" else 50)


@pytest.mark.parametrize("suffix", [".db", ".traj"])
def test_a_changed_number_is_refused(suffix: str, two_frames: list[Atoms], tmp_path: Path) -> None:
    path = DatabaseManager().save_dataset(two_frames, tmp_path / f"data{suffix}")
    content = path.read_bytes()
    number = two_frames[1].positions[1, 2].tobytes()
    assert content.count(number) >= 1
    path.write_bytes(content.replace(number, np.float64(0.5).tobytes()))
    with pytest.raises(ValueError, match="do not match its checksum"):
        read_file(path)


@pytest.mark.parametrize("suffix", [".extxyz", *BINARY])
@pytest.mark.parametrize("where", ["positions", "cell", "energy", "forces", "stress"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(
    suffix: str, where: str, value: float, two_frames: list[Atoms], tmp_path: Path
) -> None:
    path, bad = tmp_path / f"data{suffix}", two_frames[1]
    if where == "positions":
        bad.positions[1, 2] = value
    elif where == "cell":
        bad.cell[1, 1] = value
    elif where == "energy":
        bad.calc.results["energy"] = value
    else:
        bad.calc.results[where].flat[1] = value
    if suffix == ".pckl.gzip":
        pandas = pytest.importorskip("pandas")
        columns = {name: [atoms.calc.results[name] for atoms in two_frames] for name in ("energy", "forces", "stress")}
        bare = [Atoms(atoms.symbols, atoms.positions, cell=atoms.cell, pbc=True) for atoms in two_frames]
        pandas.DataFrame({"ase_atoms": bare, **columns}).to_pickle(path, compression="gzip", protocol=4)
    else:
        for atoms in two_frames:
            atoms.calc.atoms = atoms.copy()
        write(path, two_frames)
    with pytest.raises(ValueError, match=rf"frame 1 .*({where}.* not finite|no {where})") as error:
        read_file(path, require_labels=True)  # SQLite stores no NaN as energy
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("999999999999\n", "frame 0 .* the file ends inside this frame, at line 2"),
        ("999999999999\ncomment\nCu 0 0 0\n", "999999999999 atoms, and 1 follow: incomplete"),
        ("1\nx\nCu 0 0 0\n1\nx\nCu 0 0 0\n1\nLattice=", "frame 2 .* the file ends inside this frame, at line 8"),
        (
            "1\nx\nCu 0 0 0\n2\nx\nCu 0 0 0\n",
            "frame 1 .* ends inside this frame: line 4 announces 2 atoms, and 1 follow",
        ),
        ("1\nProperties=species:S:1:pos:R:999999999\nCu 0 0 0\n", "Properties"),
        ("0\n\n", "without atoms"),
        ("-1\n\n", "line 1"),
        ("1\nx\nCu 0 0 0\n\n1\nx\nCu 0 0 0\n", "frame 1 .* line 4"),
        ("1\nx\nCu 0 0 0", "no line end"),
        ("1\n" + "x" * 2_000_000 + "\nCu 0 0 0\n", "longer than"),
        ("0" * 2_000_000, "longer than"),
    ],
)
def test_extended_xyz_with_too_large_counts_is_refused(text: str, match: str, tmp_path: Path) -> None:
    path = tmp_path / "data.extxyz"
    path.write_text(text)
    with pytest.raises(ValueError, match=match) as error:
        read_file(path)
    assert len(str(error.value)) < 1000


@pytest.mark.parametrize("name", ["data.extxyz", "data.db", "vasprun.xml", "job.out", "data.pckl.gzip"])
def test_endless_files_are_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.symlink_to("/dev/zero")
    with pytest.raises(ValueError, match="not a regular file"):
        read_file(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ValueError, match="not a regular file"):
        read_file(path)


def test_gzip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "data.pckl.gzip"
    path.write_bytes(gzip.compress(bytes(300 << 20), 1))
    with pytest.raises(ValueError, match="unpacks to more than"):
        read_file(path)


def test_nested_xml_entities_are_not_expanded(tmp_path: Path) -> None:
    path = tmp_path / "vasprun.xml"
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    path.write_text(f'<!DOCTYPE a [<!ENTITY e0 "boom">{entities}]><a>&e9;</a>')
    with pytest.raises(ValueError, match=r"vasprun\.xml"):
        read_file(path)


def test_pickle_with_a_wrong_checksum_is_not_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "data.pckl.gzip"
    content = bytearray(gzip.compress(pickle.dumps({"a": os.getcwd}), mtime=0))
    content[-8] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="CRC"):
        read_file(path, trust_pickle=True)


def test_mutated_files_are_read_or_give_a_one_line_error(two_frames: list[Atoms], tmp_path: Path) -> None:
    folder = tmp_path / "originals"
    folder.mkdir()
    for suffix in (".extxyz", *BINARY):
        DatabaseManager().save_dataset(two_frames, folder / f"data{suffix}")
    write(folder / "foreign.db", two_frames)
    write(folder / "foreign.traj", two_frames)
    for name, source in {
        "vasprun.xml": "unconverged.xml",
        "OUTCAR": "OUTCAR",
        "pw.out": "relax.pwo",
        "cp2k.out": "cp2k.out",
        "aims.out": "aims.out",
    }.items():
        shutil.copyfile(DATA / source, folder / name)
    command = [sys.executable, "-m", "tests.dataset.files.mutate", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
