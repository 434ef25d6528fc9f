"""Codes that write files, run by `label_structures` as real programs: CP2K and ABINIT, as Debian packages them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from aiida_mlip_autopipec.oracle.ase_inputs import computed_structure, job_method

from .conftest import SCRIPT, Labelling, label_command, read_labelling


@dataclass(frozen=True)
class Code:
    """A code, small settings of it, and the tiny structure that they suit."""

    program: str
    method: dict[str, Any]
    structure: Atoms
    unconverged: dict[str, Any]
    variables: dict[str, str] = field(default_factory=dict)


def silicon() -> Atoms:
    """A distorted cell of silicon: two atoms, forces and a stress."""
    atoms = bulk("Si", a=5.4)
    atoms.positions[1] += (0.1, 0.05, 0.0)
    return atoms


def hydrogen() -> Atoms:
    """A molecule in a small cell, periodic since CP2K then computes the stress too."""
    atoms = molecule("H2", cell=[4.0, 4.2, 4.4], pbc=True)
    atoms.center()
    return atoms


CODES = {
    "abinit": Code(
        "abinit",
        {
            "calculator": "abinit",
            "parameters": {
                "pp_paths": ["/usr/share/abinit/psp"],
                "pps": "fhi",
                "ecut": 250.0,
                # Without it the energy is no smooth function of the cell, as the stress supposes.
                "ecutsm": 0.5,
                "toldff": 1e-7,
                "chksymbreak": 0,
                "nsym": 1,
            },
            "kpoints_distance": 0.7,
            "command": "abinit",
        },
        silicon(),
        {"nstep": 2},
    ),
    "cp2k": Code(
        "cp2k_shell.psmp",
        {
            "calculator": "cp2k",
            "parameters": {
                "basis_set": "SZV-MOLOPT-SR-GTH",
                "basis_set_file": "BASIS_MOLOPT",
                "potential_file": "GTH_POTENTIALS",
                "pseudo_potential": "GTH-PADE-q1",
                "cutoff": 2700.0,
            },
            "command": "cp2k_shell.psmp",
        },
        hydrogen(),
        {"max_scf": 1},
        {"CP2K_DATA_DIR": "/usr/share/cp2k"},
    ),
}

Run = Callable[..., Labelling]


@pytest.fixture(params=sorted(CODES))
def code(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Code:
    """A code that is installed here."""
    found = CODES[request.param]
    if shutil.which(found.program) is None:
        pytest.skip(f"{found.program} is not installed")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    for name, value in found.variables.items():
        monkeypatch.setenv(name, value)
    return found


@pytest.fixture
def run(code: Code, tmp_path: Path) -> Run:
    """Label structures with the code."""

    def labelled(structures: list[Atoms], **parameters: Any) -> Labelling:
        method = {**code.method, "parameters": {**code.method["parameters"], **parameters}}
        label_command(tmp_path, [computed_structure(atoms, method) for atoms in structures], "emt")
        start = {"command": code.method["command"]}
        (tmp_path / "method.json").write_text(json.dumps({**job_method(structures, method), **start}))
        done = subprocess.run(
            [sys.executable, SCRIPT, "structures.traj", "method.json"],
            cwd=tmp_path,
            timeout=600,
            capture_output=True,
            env=dict(os.environ),
        )
        return read_labelling(tmp_path, done.returncode)

    return labelled


def moved(atoms: Atoms, step: float) -> Atoms:
    """Return the structure with its last atom moved along x."""
    copy = atoms.copy()
    copy.positions[-1, 0] += step
    return copy


def strained(atoms: Atoms, step: float) -> Atoms:
    """Return the structure strained along z."""
    copy = atoms.copy()
    copy.set_cell(copy.cell.array @ np.diag([1.0, 1.0, 1.0 + step]), scale_atoms=True)
    return copy


@pytest.mark.slow
def test_forces_and_stress_are_derivatives_of_the_energy(code: Code, run: Run, tmp_path: Path) -> None:
    atoms, step = code.structure, 0.01
    structures = [
        atoms,
        moved(atoms, step),
        moved(atoms, -step),
        strained(atoms, step / 2),
        strained(atoms, -step / 2),
    ]
    labelling = run(structures)
    assert not labelling.failures
    energies = [labelling.labels[index]["energy"] for index in range(5)]
    force = -(energies[1] - energies[2]) / (2 * step)
    assert labelling.labels[0]["forces"][-1, 0] == pytest.approx(force, rel=0.01, abs=2e-3)
    stress = (energies[3] - energies[4]) / step / atoms.get_volume()
    assert labelling.labels[0]["stress"][2] == pytest.approx(stress, rel=0.01, abs=2e-4)
    assert not (tmp_path / "scratch").exists()


@pytest.mark.slow
def test_an_unconverged_calculation_is_a_failed_label_whose_files_are_kept(
    code: Code, run: Run, tmp_path: Path
) -> None:
    labelling = run([code.structure], **code.unconverged)
    assert not labelling.labels
    assert labelling.failures[0]["kind"] == "not_converged", labelling.failures
    assert "scratch/000000" in labelling.failures[0]["reason"]
    assert any((tmp_path / "scratch" / "000000").iterdir())
