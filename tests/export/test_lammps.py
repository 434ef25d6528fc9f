"""The folder for LAMMPS."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from ase.io import read

from aiida_mlip_autopipec.export.lammps import LammpsFiles, write_lammps

LAMMPS, ANY_LAMMPS = os.environ.get("MLIP_LAMMPS"), os.environ.get("MLIP_ANY_LAMMPS")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    active_set = {"potential.yaml": b"yaml", "potential.asi": b"asi"}
    write_lammps(LammpsFiles(b"potential", ("Al", "Cu"), active_set, {"Cu": -1.25}), tmp_path)
    return tmp_path


def test_inputs_name_the_files_of_the_folder(folder: Path) -> None:
    assert "pair_coeff * * potential.yace Al Cu" in (folder / "in.pace").read_text()
    assert "pair_coeff * * potential.yaml potential.asi Al Cu" in (folder / "in.extrapolation").read_text()
    kokkos = (folder / "in.kokkos").read_text()
    assert "pair_style pace/kk product" in kokkos and "package kokkos newton on neigh half" in kokkos
    assert "mass 2 63.546000  # Cu" in kokkos
    text = (folder / "README.txt").read_text()
    assert "-1.25000000" in text and "not known" in text
    start = read(folder / "start.data", format="lammps-data")
    assert set(start.symbols) == {"Al", "Cu"} and 32 <= len(start) <= 128


def test_without_active_set_there_is_no_extrapolation_input(tmp_path: Path) -> None:
    names = write_lammps(LammpsFiles(b"potential", ("Si",)), tmp_path)
    assert names == ["README.txt", "in.kokkos", "in.pace", "potential.yace", "start.data"]


@pytest.mark.skipif(ANY_LAMMPS is None, reason="MLIP_ANY_LAMMPS names no LAMMPS")
@pytest.mark.parametrize("name", ["in.pace", "in.extrapolation"])
def test_lammps_without_ml_pace_accepts_the_other_commands(name: str, folder: Path) -> None:
    """Without ML-PACE, `pair_style zero` stands for the potential and a constant for the grade."""
    lines = (folder / name).read_text().splitlines()
    lines = ["pair_style zero 6.0" if line.startswith("pair_style") else line for line in lines]
    lines = ["pair_coeff * *" if line.startswith("pair_coeff") else line for line in lines]
    lines = ["variable half atom 0.5" if line.startswith("fix grade") else line for line in lines]
    text = "\n".join(lines).replace("f_grade", "v_half")
    (folder / "in.any").write_text(text)
    done = subprocess.run([str(ANY_LAMMPS), "-in", "in.any"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr


@pytest.mark.skipif(LAMMPS is None, reason="MLIP_LAMMPS names no LAMMPS with pair_style pace/extrapolation")
@pytest.mark.parametrize("name", ["in.pace", "in.extrapolation"])
def test_lammps_runs_the_inputs(name: str, tmp_path: Path) -> None:
    files = os.environ.get("MLIP_POTENTIAL")
    if files is None:
        pytest.skip("MLIP_POTENTIAL names no .yace file of copper with its .yaml and .asi")
    path = Path(files)
    active_set = {f"potential.{suffix}": path.with_suffix(f".{suffix}").read_bytes() for suffix in ("yaml", "asi")}
    write_lammps(LammpsFiles(path.read_bytes(), ("Cu",), active_set), tmp_path)
    done = subprocess.run([str(LAMMPS), "-in", name], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
