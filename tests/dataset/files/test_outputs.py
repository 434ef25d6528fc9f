"""Outputs of programs: converged steps are read, all others are skipped and counted in a message."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write
from ase.units import Bohr, GPa, Hartree, Rydberg

from aiida_mlip_autopipec.dataset.files import ReadResult, read_file

DATA = Path(__file__).parent / "data"

OUTCAR = (DATA / "OUTCAR").read_text()
HEAD, FIRST = OUTCAR.split("-" * 39 + " Iteration", 1)
FIRST = "-" * 39 + " Iteration" + FIRST
REACHED = "------------------------ aborting loop because EDIFF is reached ----------------------------------------\n"
NOT_REACHED = (
    "------------------------ aborting loop EDIFF was not reached (unconverged)  ----------------------------\n"
)


def iterations(number: int, count: int, end: str) -> str:
    """Electronic steps of an ionic step of an OUTCAR."""
    lines = [f"{'-' * 39} Iteration {number:6d}({step:4d})  {'-' * 39}\n" for step in range(1, count + 1)]
    return "".join(lines) + end


def outcar(path: Path, *steps: tuple[int, str]) -> Path:
    """Write an OUTCAR with NELM = 4 and the same structure in every step, with the given electronic steps."""
    result = FIRST.split(REACHED)[1]
    parts = [iterations(number, count, end) + result for number, (count, end) in enumerate(steps, 1)]
    path.write_text(HEAD + "   NELM   =      4;   NELMIN=  2; NELMDL= -5     # of ELM steps\n" + "".join(parts))
    return path


def test_a_step_of_vasprun_that_used_up_its_electronic_steps_is_left_out() -> None:
    result = read_file(DATA / "unconverged.xml")
    assert result.skipped == {1: "not converged within NELM = 4 electronic steps"}
    assert "1 of 3 steps skipped" in result.messages()[0]
    first, _, third = read(DATA / "unconverged.xml", index=":", format="vasp-xml")
    for ours, by_ase in zip(result.frames, (first, third), strict=True):
        assert np.allclose(ours.positions, by_ase.positions, atol=1e-12)
        assert ours.calc.results["energy"] == by_ase.calc.results["free_energy"]
        assert np.array_equal(ours.calc.results["forces"], by_ase.calc.results["forces"])
        assert np.allclose(ours.calc.results["stress"], by_ase.calc.results["stress"], atol=1e-14)


def test_the_work_of_an_external_pressure_is_no_part_of_the_energy(tmp_path: Path) -> None:
    path = tmp_path / "vasprun.xml"
    text = (DATA / "unconverged.xml").read_text()
    path.write_text(text.replace("<parameters>", '<parameters><i name="PSTRESS">50.0</i>'))
    plain, pressed = read_file(DATA / "unconverged.xml").frames[0], read_file(path).frames[0]
    work = 50.0 * 0.1 * GPa * plain.get_volume()
    assert plain.calc.results["energy"] - pressed.calc.results["energy"] == pytest.approx(work, rel=1e-9)


def test_the_same_data_give_the_same_energy_from_every_reader(tmp_path: Path) -> None:
    (first, *_) = read_file(DATA / "unconverged.xml").frames
    by_ase = read(DATA / "unconverged.xml", index=0, format="vasp-xml")
    assert by_ase.calc.results["energy"] != by_ase.calc.results["free_energy"]
    for suffix in (".extxyz", ".traj", ".db"):
        path = tmp_path / f"data{suffix}"
        write(path, by_ase)
        (again,) = read_file(path).frames
        assert again.calc.results["energy"] == pytest.approx(first.calc.results["energy"], abs=1e-7), suffix


@pytest.mark.parametrize("number", range(1, 12))
def test_a_vasprun_cut_off_gives_whole_steps_only(number: int, tmp_path: Path) -> None:
    text, path = (DATA / "unconverged.xml").read_text(), tmp_path / "vasprun.xml"
    path.write_text(text[: len(text) * number // 12])
    check_cut(path, read_file(DATA / "unconverged.xml"))


def test_a_step_without_an_electronic_step_is_none_of_dft(tmp_path: Path) -> None:
    path = tmp_path / "vasprun.xml"
    text = (DATA / "unconverged.xml").read_text()
    first = text.index("<calculation>")
    end = text.index("<structure>", first)
    path.write_text(text[: first + len("<calculation>")] + text[end:])
    result = read_file(path)
    assert "machine-learned" in result.skipped[0]
    assert len(result.frames) == 1


def test_an_xml_of_something_else_or_damaged_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "vasprun.xml"
    path.write_text("<a><b/></a>")
    with pytest.raises(ValueError, match=r"vasprun\.xml.*not a vasprun"):
        read_file(path)
    path.write_text((DATA / "unconverged.xml").read_text().replace("</calculation>", "</calcination>", 1))
    with pytest.raises(ValueError, match=r"vasprun\.xml.*mismatched tag"):
        read_file(path)


def test_the_last_word_of_vasp_counts_in_an_outcar(tmp_path: Path) -> None:
    steps = ((3, REACHED), (4, NOT_REACHED), (4, ""), (4, REACHED), (2, ""))
    result = read_file(outcar(tmp_path / "OUTCAR", *steps))
    assert len(result.frames) == 2
    assert result.skipped == {
        1: "not converged within NELM = 4 electronic steps",
        2: "not converged within NELM = 4 electronic steps",
        4: "stopped before its electronic steps had converged",
    }


def test_an_outcar_without_a_converged_step_is_an_error(tmp_path: Path) -> None:
    path = outcar(tmp_path / "OUTCAR", (4, NOT_REACHED), (4, NOT_REACHED))
    with pytest.raises(ValueError, match=r"OUTCAR: no step has usable labels.* 2 not converged .*steps 0, 1"):
        read_file(path)


def test_a_failed_run_of_pw_is_named_so_and_not_damaged() -> None:
    with pytest.raises(ValueError, match=r"failed\.pwo.*1 not converged after 3 electronic steps") as error:
        read_file(DATA / "failed.pwo")
    assert "damaged" not in str(error.value)


def test_steps_that_pw_only_calls_converged_are_left_out() -> None:
    result = read_file(DATA / "relax.pwo")
    assert list(result.skipped) == [0]
    assert "accuracy reached is worse than conv_thr = 1e-08 Ry" in result.skipped[0]
    assert [atoms.calc.results["energy"] for atoms in result.frames] == pytest.approx(
        [energy * Rydberg for energy in (-15.54738944, -15.54754778, -15.54754782)], rel=1e-6
    )


def check_cut(path: Path, whole: ReadResult) -> None:
    """A truncated output gives steps of the complete output, or a clear error of one line."""
    try:
        result = read_file(path)
    except ValueError as error:
        assert str(error).startswith(str(path))
        assert "\n" not in str(error)
        return
    for cut, full in zip(result.frames, whole.frames, strict=False):
        assert np.array_equal(cut.positions, full.positions)
        assert cut.calc.results["energy"] == full.calc.results["energy"]
        assert np.array_equal(cut.calc.results["forces"], full.calc.results["forces"])
        if "stress" in cut.calc.results:
            assert np.array_equal(cut.calc.results["stress"], full.calc.results["stress"])


@pytest.mark.parametrize("name", ["relax.pwo", "cp2k.out", "aims.out", "OUTCAR"])
def test_an_output_cut_off_anywhere_gives_whole_steps_only(name: str, tmp_path: Path) -> None:
    text, whole = (DATA / name).read_text(), read_file(DATA / name)
    for end in range(0, len(text), max(7, len(text) // 150)):
        (tmp_path / name).write_text(text[:end])
        check_cut(tmp_path / name, whole)


def test_cp2k_is_read_in_ase_units_and_sign() -> None:
    result = read_file(DATA / "cp2k.out")
    assert list(result.skipped) == [1, 2, 4]
    assert "not converged after 2 electronic steps" in result.skipped[1]
    assert "without printed coordinates" in result.skipped[2]
    first, second = result.frames
    assert first.calc.results["energy"] == pytest.approx(-7.7741270021 * Hartree)
    assert first.calc.results["forces"][0] == pytest.approx(np.array([0.01, -0.002, 0.003]) * Hartree / Bohr)
    assert first.calc.results["stress"] == pytest.approx(-GPa * np.array([1, 2, 3, 0.3, 0.2, 0.1]))
    assert first.cell.volume == pytest.approx(39.366)
    assert first.pbc.all()
    assert second.positions[0, 0] == 0.02
    assert second.calc.results["forces"][0, 0] == pytest.approx(0.02 * Hartree / Bohr)


def test_aims_is_read_with_its_free_energy() -> None:
    result = read_file(DATA / "aims.out")
    assert list(result.skipped) == [1, 3]
    assert [atoms.calc.results["energy"] for atoms in result.frames] == [-15800.5, -15800.7]
    assert [atoms.positions[0, 0] for atoms in result.frames] == [0.0, 0.02]


def test_an_output_of_no_known_program_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "job.out"
    path.write_text("hello\n")
    with pytest.raises(ValueError, match=r"job\.out: is no output of pw\.x, CP2K or FHI-aims"):
        read_file(path)


@pytest.mark.skipif(shutil.which("pw.x") is None, reason="pw.x is not installed")
@pytest.mark.parametrize(("electron_maxstep", "reason"), [(50, None), (3, "not converged after 3 electronic steps")])
def test_a_real_run_of_pw(electron_maxstep: int, reason: str | None, silicon_upf: Path, tmp_path: Path) -> None:
    shutil.copy(silicon_upf, tmp_path / "Si.upf")
    (tmp_path / "pw.in").write_text(
        f"""&control
 pseudo_dir='.', outdir='tmp', tprnfor=.true., tstress=.true.
/
&system
 ibrav=0, nat=2, ntyp=1, ecutwfc=8
/
&electrons
 electron_maxstep={electron_maxstep}
/
ATOMIC_SPECIES
Si 28.085 Si.upf
CELL_PARAMETERS angstrom
0 2.7 2.7
2.7 0 2.7
2.7 2.7 0
ATOMIC_POSITIONS angstrom
Si 0 0 0
Si 1.45 1.33 1.30
K_POINTS gamma
"""
    )
    with (tmp_path / "pw.out").open("w") as output:
        subprocess.run(["pw.x", "-in", "pw.in"], cwd=tmp_path, stdout=output, check=False, timeout=300)
    if reason is not None:
        with pytest.raises(ValueError, match=reason):
            read_file(tmp_path / "pw.out")
        return
    (atoms,) = read_file(tmp_path / "pw.out").frames
    printed = re.search(r"!    total energy\s+=\s+(\S+) Ry", (tmp_path / "pw.out").read_text())
    assert printed is not None
    assert atoms.calc.results["energy"] == pytest.approx(float(printed[1]) * Rydberg, rel=1e-6)
    assert {"energy", "forces", "stress"} <= set(atoms.calc.results)


def test_labels_of_a_step_stay_with_their_structure() -> None:
    atoms: Atoms = read_file(DATA / "unconverged.xml").frames[0]
    assert isinstance(atoms.calc, SinglePointCalculator)
    assert np.array_equal(atoms.get_forces(), atoms.calc.results["forces"])
