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


def test_vasprun_step_that_reached_nelm_is_skipped() -> None:
    result = read_file(DATA / "unconverged.xml")
    assert result.skipped == {1: "not converged within NELM = 4 electronic steps"}
    assert "1 of 3 steps skipped" in result.messages()[0]
    first, _, third = read(DATA / "unconverged.xml", index=":", format="vasp-xml")
    for ours, by_ase in zip(result.frames, (first, third), strict=True):
        assert np.allclose(ours.positions, by_ase.positions, atol=1e-12)
        assert ours.calc.results["energy"] == by_ase.calc.results["free_energy"]
        assert np.array_equal(ours.calc.results["forces"], by_ase.calc.results["forces"])
        assert np.allclose(ours.calc.results["stress"], by_ase.calc.results["stress"], atol=1e-14)


def test_energy_excludes_the_work_of_an_external_pressure(tmp_path: Path) -> None:
    path = tmp_path / "vasprun.xml"
    text = (DATA / "unconverged.xml").read_text()
    path.write_text(text.replace("<parameters>", '<parameters><i name="PSTRESS">50.0</i>'))
    plain, pressed = read_file(DATA / "unconverged.xml").frames[0], read_file(path).frames[0]
    work = 50.0 * 0.1 * GPa * plain.get_volume()
    assert plain.calc.results["energy"] - pressed.calc.results["energy"] == pytest.approx(work, rel=1e-9)


def test_all_formats_give_the_force_consistent_energy_of_vasp(tmp_path: Path) -> None:
    (first, *_) = read_file(DATA / "unconverged.xml").frames
    by_ase = read(DATA / "unconverged.xml", index=0, format="vasp-xml")
    assert by_ase.calc.results["energy"] != by_ase.calc.results["free_energy"]
    for suffix in (".extxyz", ".traj", ".db"):
        path = tmp_path / f"data{suffix}"
        write(path, by_ase)
        (again,) = read_file(path).frames
        assert again.calc.results["energy"] == pytest.approx(first.calc.results["energy"], abs=1e-7), suffix


@pytest.mark.parametrize("number", range(1, 12))
def test_truncated_vasprun_gives_only_complete_steps(number: int, tmp_path: Path) -> None:
    text, path = (DATA / "unconverged.xml").read_text(), tmp_path / "vasprun.xml"
    path.write_text(text[: len(text) * number // 12])
    check_cut(path, read_file(DATA / "unconverged.xml"))


def test_vasprun_step_without_electronic_steps_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "vasprun.xml"
    text = (DATA / "unconverged.xml").read_text()
    first = text.index("<calculation>")
    end = text.index("<structure>", first)
    path.write_text(text[: first + len("<calculation>")] + text[end:])
    result = read_file(path)
    assert "machine-learned" in result.skipped[0]
    assert len(result.frames) == 1


def test_foreign_or_damaged_xml_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "vasprun.xml"
    path.write_text("<a><b/></a>")
    with pytest.raises(ValueError, match=r"vasprun\.xml.*not a vasprun"):
        read_file(path)
    path.write_text((DATA / "unconverged.xml").read_text().replace("</calculation>", "</calcination>", 1))
    with pytest.raises(ValueError, match=r"vasprun\.xml.*mismatched tag"):
        read_file(path)


def test_last_message_of_an_outcar_step_decides_on_its_convergence(tmp_path: Path) -> None:
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


def test_error_for_an_unconverged_pw_run_does_not_call_the_file_damaged() -> None:
    with pytest.raises(ValueError, match=r"failed\.pwo.*1 not converged after 3 electronic steps") as error:
        read_file(DATA / "failed.pwo")
    assert "damaged" not in str(error.value)


def test_pw_steps_above_the_convergence_threshold_are_skipped() -> None:
    result = read_file(DATA / "relax.pwo")
    assert list(result.skipped) == [0]
    assert "accuracy reached is worse than conv_thr = 1e-08 Ry" in result.skipped[0]
    assert [atoms.calc.results["energy"] for atoms in result.frames] == pytest.approx(
        [energy * Rydberg for energy in (-15.54738944, -15.54754778, -15.54754782)], rel=1e-6
    )


def test_exact_exchange_is_read_with_its_last_energy(tmp_path: Path) -> None:
    result = read_file(DATA / "pw_exchange.pwo")
    assert not result.skipped
    energies = [
        float(number) for number in re.findall(r"!! +total energy += +(\S+) Ry", (DATA / "pw_exchange.pwo").read_text())
    ]
    assert [atoms.get_potential_energy() for atoms in result.frames] == pytest.approx(
        [energy * Rydberg for energy in energies], rel=1e-6
    )
    # Energies (Ry) with 0.268 and 0.272 instead of 0.27.
    slope = (-14.51294993 + 14.51474206) * Rydberg / 0.004
    (first, second, _) = result.frames
    assert first.get_forces()[1] @ first.cell[0] == pytest.approx(-slope, rel=2e-3)
    path = tmp_path / "relax.pwo"
    path.write_text((DATA / "pw_exchange.pwo").read_text().replace("EXX self-consistency reached", "", 1))
    result = read_file(path)
    assert result.skipped == {0: "stopped before its exact exchange had converged"}
    assert result.frames[0].get_potential_energy() == second.get_potential_energy()


def test_restarted_pw_run_does_not_pair_the_input_cell_with_a_later_energy() -> None:
    result = read_file(DATA / "pw_restart.pwo")
    assert result.skipped == {
        3: "restarted with a structure that is read from a file and not printed",
        5: "not converged after 100 electronic steps",
    }
    volumes = [265.3020, 328.38420, 365.78167, 386.33237]
    assert [atoms.get_volume() / Bohr**3 for atoms in result.frames] == pytest.approx(volumes, rel=1e-5)
    energies = [-14.44822419, -14.56539674, -14.58577276, -14.58825543]
    assert [atoms.get_potential_energy() / Rydberg for atoms in result.frames] == pytest.approx(energies, rel=1e-6)
    pressures = [433.70, 129.91, 36.51, 0.39]
    assert [-atoms.get_stress()[:3].mean() / GPa * 10 for atoms in result.frames] == pytest.approx(pressures, abs=0.02)


def test_nelm_of_the_response_functions_is_ignored(tmp_path: Path) -> None:
    text, path = (DATA / "vasprun_relax.xml").read_text(), tmp_path / "vasprun.xml"
    head, separator, tail = text.partition('<separator name="response functions" >')
    path.write_text(head + separator + tail.replace('"NELM">    60', '"NELM">     1'))
    for name in (DATA / "vasprun_relax.xml", path):
        result = read_file(name)
        assert not result.skipped
        first, second = result.frames
        assert [atoms.get_potential_energy() for atoms in result.frames] == [-7.13733633, -7.13897720]
        assert [atoms.get_volume() for atoms in result.frames] == pytest.approx([68.00265731, 70.39349589])
        assert first.get_stress()[:3] == pytest.approx(3 * [-11.31527717 * 0.1 * GPa])
        assert second.get_stress()[:3] == pytest.approx(3 * [6.56658115 * 0.1 * GPa])
        assert first.get_chemical_formula() == "AcAg"


def test_vasprun_values_before_the_electronic_steps_are_ignored(tmp_path: Path) -> None:
    text, path = (DATA / "vasprun_relax.xml").read_text(), tmp_path / "vasprun.xml"
    start, end = text.index("  <structure>"), text.index('  <time name="totalsc">')
    predicted = text[start:end].replace("-7.1", "-9.1").replace("3.23965400", "3.50000000").replace("11.3", "99.9")
    path.write_text(text.replace("<calculation>\n", "<calculation>\n" + predicted, 1))
    first, plain = read_file(path).frames[0], read_file(DATA / "vasprun_relax.xml").frames[0]
    assert np.array_equal(first.cell, plain.cell)
    assert first.get_potential_energy() == plain.get_potential_energy()
    assert np.array_equal(first.get_stress(), plain.get_stress())


ML_STEP = """  ML FORCE on cell =-STRESS in cart. coord. units (eV/cell)
  in kB       9.00000     9.00000     9.00000     0.00000     0.00000     0.00000
      direct lattice vectors                 reciprocal lattice vectors
     9.000000000  0.000000000  0.000000000     0.111111111  0.000000000  0.000000000
     0.000000000  9.000000000  0.000000000     0.000000000  0.111111111  0.000000000
     0.000000000  0.000000000  9.000000000     0.000000000  0.000000000  0.111111111

  POSITION                                       TOTAL-FORCE (eV/Angst) (ML)
 -----------------------------------------------------------------------------------
      1.00000      1.00000      1.00000         9.000000      9.000000      9.000000
 -----------------------------------------------------------------------------------

  ML FREE ENERGIE OF THE ION-ELECTRON SYSTEM (eV)
  ---------------------------------------------------
  free  energy ML TOTEN  =        -9.00000000 eV

  ML energy  without entropy=       -9.00000000  ML energy(sigma->0) =       -9.00000000
"""


def check_lithium(frames: list[Atoms]) -> None:
    assert [atoms.get_potential_energy() for atoms in frames] == [-1.920020, -1.922180]
    assert [atoms.cell[1, 1] for atoms in frames] == [3.507, 3.484438779]
    for atoms, pressure in zip(frames, (-9.90670, -6.72429), strict=True):
        assert atoms.get_stress()[:3] == pytest.approx(3 * [-pressure * 0.1 * GPa])
        assert atoms.get_chemical_formula() == "Li"


def test_a_real_relaxation_of_vasp_keeps_each_cell_with_its_labels() -> None:
    result = read_file(DATA / "OUTCAR_relax")
    assert not result.skipped
    check_lithium(result.frames)


def test_outcar_steps_of_a_machine_learned_force_field_are_skipped(tmp_path: Path) -> None:
    head, first, second = re.split(r"(?m)^(?=-+ Iteration)", (DATA / "OUTCAR_relax").read_text())
    path = tmp_path / "OUTCAR"
    path.write_text(head + ML_STEP + first + ML_STEP + ML_STEP + second)
    result = read_file(path)
    check_lithium(result.frames)
    assert list(result.skipped) == [1, 2]
    assert "machine-learned" in result.skipped[1]
    path.write_text(head + 2 * ML_STEP)
    with pytest.raises(ValueError, match=r"2 without an electronic step.*machine-learned"):
        read_file(path)


def test_runs_of_vasp_in_one_outcar_keep_their_own_atoms(tmp_path: Path) -> None:
    path = tmp_path / "OUTCAR"
    relaxation = (DATA / "OUTCAR_relax").read_text()
    path.write_text(relaxation + OUTCAR + HEAD + relaxation.replace("Li_sv", "Na_pv"))
    (tmp_path / "CONTCAR").write_text("of another run\n")
    result = read_file(path)
    check_lithium(result.frames[:2])
    assert [atoms.get_chemical_formula() for atoms in result.frames] == ["Li", "Li", "CH4", "Na", "Na"]
    assert result.skipped == {3: "stopped before its electronic steps had converged"}
    alone = read_file(DATA / "OUTCAR").frames[0]
    assert np.array_equal(result.frames[2].get_forces(), alone.get_forces())


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
        assert np.array_equal(cut.cell, full.cell)
        assert np.array_equal(cut.pbc, full.pbc)
        assert cut.calc.results["energy"] == full.calc.results["energy"]
        assert np.array_equal(cut.calc.results["forces"], full.calc.results["forces"])
        if "stress" in cut.calc.results:
            assert np.array_equal(cut.calc.results["stress"], full.calc.results["stress"])


@pytest.mark.parametrize(
    ("name", "cuts"),
    [
        ("relax.pwo", 150),
        ("pw_exchange.pwo", 60),
        ("pw_restart.pwo", 60),
        ("cp2k.out", 150),
        ("cp2k_runs.out", 100),
        ("cp2k_cell_opt.out", 100),
        ("cp2k_numerical.out", 60),
        ("aims.out", 150),
        ("aims_md.out", 60),
        ("OUTCAR", 150),
        ("OUTCAR_relax", 100),
    ],
)
def test_output_truncated_anywhere_gives_only_complete_steps(name: str, cuts: int, tmp_path: Path) -> None:
    text, whole = (DATA / name).read_text(), read_file(DATA / name)
    for end in range(0, len(text), max(7, len(text) // cuts)):
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


def printed_by_cp2k(text: str) -> tuple[list[float], list[np.ndarray], list[np.ndarray]]:
    """Return the energies, forces and stresses of an output of CP2K 2023, in its units and sign."""
    energies = [float(number) for number in re.findall(r"energy \[a\.u\.\]:\s+(\S+)", text)]
    tables = re.findall(r"Element          X .*\n((?:.* H .*\n)+)", text)
    forces = [np.array([line.split()[3:] for line in table.splitlines()], dtype=float) for table in tables]
    tensors = re.findall(r"STRESS\| Analytical stress tensor.*\n.*\n((?:.*\n){3})", text)
    stresses = [np.array([line.split()[2:] for line in tensor.splitlines()], dtype=float) for tensor in tensors]
    return energies, forces, stresses


def test_real_outputs_of_cp2k_are_read_in_ase_units_and_sign() -> None:
    result = read_file(DATA / "cp2k_runs.out")
    assert result.skipped == {3: "not converged after 2 electronic steps"}
    assert len(result.frames) == 3
    for atoms, energy, forces, stress in zip(
        result.frames, *printed_by_cp2k((DATA / "cp2k_runs.out").read_text()), strict=False
    ):
        assert atoms.calc.results["energy"] == pytest.approx(energy * Hartree, abs=1e-9)
        assert atoms.calc.results["forces"] == pytest.approx(forces * Hartree / Bohr, abs=1e-9)
        assert atoms.get_stress(voigt=False) == pytest.approx(-stress * GPa, abs=1e-9)
        assert atoms.pbc.all()
    smaller, middle, larger = result.frames
    assert [atoms.cell.lengths()[0] for atoms in result.frames] == pytest.approx([3.992, 4.0, 4.008])
    slope = (larger.get_potential_energy() - smaller.get_potential_energy()) / (
        larger.cell.volume - smaller.cell.volume
    )
    assert middle.get_stress()[:3].mean() == pytest.approx(slope, rel=5e-3)


def test_a_step_of_cp2k_has_its_own_cell_and_all_its_digits(tmp_path: Path) -> None:
    result = read_file(DATA / "cp2k_cell_opt.out")
    assert list(result.skipped) == [1]
    assert "without printed coordinates" in result.skipped[1]
    cell = [[3.61553, 0, 0], [0.51234, 4.11117, 0], [0.3, 0.2222, 4.40456]]
    assert result.frames[0].cell.array == pytest.approx(np.array(cell), abs=1e-6)
    text, path = (DATA / "cp2k_cell_opt.out").read_text(), tmp_path / "cp2k.out"
    for vector in ("a", "b", "c"):
        half = "".join(f"{0.0 if axis == vector else 1.808:10.3f}" for axis in "abc")
        text = re.sub(rf"(Vector {vector} \[angstrom\]:).*", rf"\1{half}   |{vector}| =     2.556191", text, count=1)
    path.write_text(re.sub(r"(CELL\| Angle .{5}, .* \[degree\]:).*", r"\1  60.000000", text))
    assert read_file(path).frames[0].cell.array == pytest.approx(1.8075 * (1 - np.eye(3)), abs=1e-6)


def test_strained_structures_of_a_numerical_stress_are_not_read_as_steps(tmp_path: Path) -> None:
    (atoms,) = read_file(DATA / "cp2k_numerical.out").frames
    assert atoms.calc.results["energy"] == pytest.approx(-1.140072994842890 * Hartree, abs=1e-9)
    assert atoms.get_stress()[:3] == pytest.approx(np.array([2.14879441939, 1.53063142395, 1.06320113073]) * GPa)
    text, path = (DATA / "cp2k_numerical.out").read_text(), tmp_path / "cp2k.out"
    first, second, *rest = text.split("*** SCF run converged in     1 steps ***")
    path.write_text(first + "*** WARNING in qs_scf.F:601 :: SCF run NOT converged ***" + "".join([second, *rest]))
    with pytest.raises(ValueError, match="not converged"):
        read_file(path)


def test_outputs_of_other_cp2k_versions_are_read(tmp_path: Path) -> None:
    text, path = (DATA / "cp2k_cell_opt.out").read_text(), tmp_path / "cp2k.out"
    atoms = read_file(DATA / "cp2k_cell_opt.out").frames[0]
    new = text.replace("energy [a.u.]: ", "energy [hartree] ").replace("[GPa]", "[bar]")
    new = new.replace("ATOMIC FORCES in [a.u.]", "FORCES| Atomic forces [hartree/bohr]")
    new = re.sub(r" +(\d) +1 +H ( +-?0\.\d{8} .*)", r" FORCES|      \1 \2   1.0E-02", new)
    path.write_text(new.replace("SUM OF ATOMIC FORCES", "FORCES| Sum"))
    (latest,) = read_file(path).frames
    assert latest.calc.results["energy"] == atoms.calc.results["energy"]
    assert np.array_equal(latest.calc.results["forces"], atoms.calc.results["forces"])
    assert latest.calc.results["stress"] == pytest.approx(1e-4 * atoms.calc.results["stress"])
    # A tensor of CP2K 7.1 and, before the periodicity was printed with the cell, that of the Poisson solver.
    tensor = """ STRESS TENSOR [GPa]

            X               Y               Z
  X       1.50089029     -0.17756394     -0.00501865
  Y      -0.17756394      2.54395579      0.23720409
  Z      -0.00501865      0.23720409      2.31374303

  1/3 Trace(stress tensor):   2.11952970E+00

 EIGENVECTORS AND EIGENVALUES OF THE STRESS TENSOR

          1.47005279      2.17642446      2.71211185

          0.98415701      0.12377295     -0.12694578
"""
    old = re.sub(r"(?: STRESS\|.*\n+)+", tensor, text).replace("CELL| Periodicity ", "POISSON| Periodicity ")
    path.write_text(old.replace(" XYZ\n", "  XY\n"))
    (oldest,) = read_file(path).frames
    stress = np.array([1.50089029, 2.54395579, 2.31374303, 0.23720409, -0.00501865, -0.17756394])
    assert oldest.get_stress() == pytest.approx(-GPa * stress)
    assert oldest.pbc.tolist() == [True, True, False]


def test_cp2k_step_without_a_printed_cell_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "cp2k.out"
    path.write_text(re.sub(r" CELL\|.*\n", "", (DATA / "cp2k_cell_opt.out").read_text()))
    with pytest.raises(ValueError, match="1 without a printed cell"):
        read_file(path)


def test_real_dynamics_of_aims_keep_labels_with_their_structure(tmp_path: Path) -> None:
    result = read_file(DATA / "aims_md.out")
    assert not result.skipped
    first, second, _ = result.frames
    energies = [-0.207847042902594e4, -0.207848223446601e4, -0.207843959002456e4]
    assert [atoms.calc.results["energy"] for atoms in result.frames] == energies
    assert [atoms.positions[0, 0] for atoms in result.frames] == [2.8, 2.77671567, 2.68018038]
    forces = [-0.138268558388624e1, -0.102443835539403e1, 0.147777500802740e1]
    assert [atoms.calc.results["forces"][0, 0] for atoms in result.frames] == forces
    for atoms in result.frames:
        assert np.array_equal(atoms.cell, 4.0 * np.eye(3))
        assert atoms.pbc.all()
    mean = (first.get_forces() + second.get_forces()) / 2
    work = np.sum(mean * (second.positions - first.positions))
    assert first.get_potential_energy() - second.get_potential_energy() == pytest.approx(work, rel=0.05)


def test_aims_step_without_structure_or_convergence_is_skipped(tmp_path: Path) -> None:
    text, path = (DATA / "aims_md.out").read_text(), tmp_path / "aims.out"
    path.write_text(text[: text.index("Advancing structure", text.index("2.80000000        2.60000000"))])
    result = read_file(path)
    assert result.skipped == {1: "cut off before the end of the step"}
    assert len(result.frames) == 1
    converged = "Self-consistency cycle converged."
    first, second, *rest = text.split(converged)
    warning = "* WARNING! SELF-CONSISTENCY CYCLE DID NOT CONVERGE"
    path.write_text(first + converged + second + warning + converged.join(rest))
    assert read_file(path).skipped == {1: "not converged within the electronic steps allowed (sc_iter_limit)"}


def test_runs_of_aims_in_one_file_are_separate(tmp_path: Path) -> None:
    path = tmp_path / "aims.out"
    text = (DATA / "aims_md.out").read_text()
    path.write_text(text + text[: text.index("Convergence:")] + text)
    result = read_file(path)
    assert result.skipped == {3: "stopped before its electronic steps had converged"}
    assert [atoms.positions[0, 0] for atoms in result.frames] == 2 * [2.8, 2.77671567, 2.68018038]


def test_output_of_an_unknown_program_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "job.out"
    path.write_text("hello\n")
    with pytest.raises(ValueError, match=r"job\.out: is not an output of pw\.x, CP2K or FHI-aims"):
        read_file(path)


@pytest.mark.skipif(shutil.which("pw.x") is None, reason="pw.x is not installed")
@pytest.mark.parametrize(("electron_maxstep", "reason"), [(50, None), (3, "not converged after 3 electronic steps")])
def test_output_of_a_real_pw_run_is_read(
    electron_maxstep: int, reason: str | None, silicon_upf: Path, tmp_path: Path
) -> None:
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
