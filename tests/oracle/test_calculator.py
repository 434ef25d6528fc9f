"""Calculators with the command of their code, and what codes write if they do not converge."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiida import orm
from ase.calculators.emt import EMT
from mlip_label.calculator import is_reusable, make_calculator
from mlip_label.convergence import not_converged

from aiida_mlip_autopipec.programs.resources import parallel_options


def test_command_of_a_profile_begins_with_mpirun_and_has_the_folders() -> None:
    method = {"calculator": "abinit", "command": "abinit", "mpirun": ["mpirun", "-np", "4"]}
    calculator = make_calculator(method, {"ecut": 100.0, "pp_paths": ["/pseudos"]})
    assert calculator.profile.command == "mpirun -np 4 abinit"
    assert calculator.profile.pp_paths == ["/pseudos"]
    assert calculator.parameters == {"ecut": 100.0}
    assert not is_reusable(calculator)


def test_a_calculator_that_takes_its_command_as_a_keyword() -> None:
    method = {"calculator": "vasp", "command": "vasp_std", "mpirun": ["srun", "-n", "2"]}
    calculator = make_calculator(method, {"encut": 300})
    assert calculator.command == "srun -n 2 vasp_std"
    assert not is_reusable(calculator)
    assert is_reusable(EMT())


@pytest.mark.parametrize(
    "text",
    [
        "     convergence NOT achieved after 100 iterations: stopping",
        " *** WARNING in qs_scf.F:598 :: SCF run NOT converged ***",
        "  nstep=    2 was not enough SCF cycles to converge;",
        "|     The electronic self-consistency was not achieved in the given number  |",
        "  ** Self-consistency cycle not converged.",
        " *      SCF NOT CONVERGED AFTER 125 CYCLES",
    ],
)
def test_unconverged_calculations_are_recognised_from_output_files(text: str, tmp_path: Path) -> None:
    (tmp_path / "output").write_text("Self-consistency cycle converged.\nEnd of self-consistent calculation\n")
    assert not_converged(None, tmp_path) is None
    (tmp_path / "output").write_text(f"begin\n{text}\nend\n")
    assert "did not converge (output: " in str(not_converged(None, tmp_path))


def test_processes_and_threads_of_a_job(resources: orm.Dict) -> None:
    assert parallel_options(resources, 1, None, None) == {}
    options = parallel_options(resources, 4, 2, None)
    assert options["mpirun"] == ["mpirun", "-np", "4"]
    assert options["resources"]["num_cores_per_mpiproc"] == 8
    assert options["environment_variables"]["OMP_NUM_THREADS"] == "2"
    assert parallel_options(resources, 1, None, True)["mpirun"] == ["mpirun", "-np", "1"]
