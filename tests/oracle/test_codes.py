"""Recipes on the real programs, run by `label_structures`: CP2K, ABINIT and Psi4 of Debian, GPAW and models of PyPI.

A code in another Python environment is found by a variable such as MLIP_GPAW_PYTHON, with the path of its Python.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.io import write

from aiida_mlip_autopipec.config.schemas.oracle import AseOracleConfig
from aiida_mlip_autopipec.oracle.ase_inputs import computed_structure, job_method
from aiida_mlip_autopipec.oracle.complete import complete

from ..waiting import PATIENCE
from .conftest import SCRIPT, Labelling, label_command, read_labelling

DIRECT = """
import importlib, json, sys
from ase.io import read

module, name, parameters = json.loads(sys.argv[1])
atoms = read("direct.traj")
atoms.calc = getattr(importlib.import_module(module), name)(**parameters)
try:
    energy = atoms.get_potential_energy(force_consistent=True)
except Exception:
    energy = atoms.get_potential_energy()
stress = atoms.get_stress().tolist() if atoms.pbc.all() else None
print("\\n" + json.dumps([float(energy), atoms.get_forces().astype(float).tolist(), stress]))
"""


def silicon() -> Atoms:
    """A distorted cell of silicon: two atoms, forces and a stress."""
    atoms = bulk("Si", a=5.4)
    atoms.positions[1] += (0.1, 0.05, 0.0)
    return atoms


def aluminium() -> Atoms:
    """A distorted cell of aluminium of two atoms."""
    atoms = bulk("Al", a=4.05, orthorhombic=True)
    atoms.positions[1] += (0.12, 0.05, 0.1)
    return atoms


def magnesia() -> Atoms:
    """A distorted, compressed cell of MgO of two atoms."""
    atoms = bulk("MgO", "rocksalt", a=4.0)
    atoms.positions[1] += (0.1, 0.05, 0.02)
    return atoms


def water() -> Atoms:
    """A bent water molecule."""
    atoms = molecule("H2O")
    atoms.positions[2] += (0.02, 0.06, 0.03)
    return atoms


@dataclass(frozen=True)
class Code:
    """A calculator with a recipe, settings that make it cheap, and its ASE calculator."""

    name: str
    needs: str
    direct: tuple[str, str]
    settings: dict[str, Any] = field(default_factory=dict)
    direct_parameters: dict[str, Any] = field(default_factory=dict)
    unconverged: dict[str, Any] | None = None
    variables: dict[str, str] = field(default_factory=dict)

    def python(self) -> str:
        """Return the Python that runs it; skip the test if there is none."""
        python = os.environ.get(f"MLIP_{self.name.upper()}_PYTHON", sys.executable)
        if self.needs.startswith("import "):
            # Psi4 writes a file where it is imported.
            folder = tempfile.gettempdir()
            checked = subprocess.run([python, "-c", self.needs], capture_output=True, check=False, cwd=folder)
            if checked.returncode:
                pytest.skip(f"{self.name} is not installed: MLIP_{self.name.upper()}_PYTHON names a Python that has it")
        elif shutil.which(self.needs) is None:
            pytest.skip(f"{self.needs} is not installed")
        return python

    def config(self, structure: Atoms, **parameters: Any) -> AseOracleConfig:
        """Return complete settings."""
        settings = {**self.settings, "parameters": {**self.settings.get("parameters", {}), **parameters}}
        return complete(
            AseOracleConfig(calculator=self.name, **settings), sorted(set(structure.get_chemical_symbols()))
        )


DFT = {"level": "fast", "kpoints_distance": 0.8}
CODES = {
    "abinit": Code(
        "abinit",
        "abinit",
        ("ase.calculators.abinit", "Abinit"),
        {**DFT, "parameters": {"pp_paths": ["/usr/share/abinit/psp"], "nsym": 1}},
        unconverged={"nstep": 2},
    ),
    "chgnet": Code(
        "chgnet", "import chgnet", ("chgnet.model.dynamics", "CHGNetCalculator"), direct_parameters={"model": None}
    ),
    "cp2k": Code(
        "cp2k",
        "cp2k_shell.psmp",
        ("ase.calculators.cp2k", "CP2K"),
        DFT,
        {"command": "cp2k_shell.psmp"},
        {"max_scf": 1},
        {"CP2K_DATA_DIR": "/usr/share/cp2k"},
    ),
    "gpaw": Code(
        "gpaw",
        "import gpaw, gpaw_data",
        ("gpaw", "GPAW"),
        DFT,
        unconverged={"maxiter": 3, "convergence": {"density": 1e-9}},
    ),
    "psi4": Code("psi4", "import psi4", ("ase.calculators.psi4", "Psi4"), {"level": "fast"}, {"multiplicity": 1}),
    "sevennet": Code("sevennet", "import sevenn", ("sevenn.calculator", "SevenNetCalculator")),
}

CASES = [
    *(("abinit", structure) for structure in (silicon, aluminium)),
    *(("cp2k", structure) for structure in (silicon, magnesia)),
    *(("gpaw", structure) for structure in (silicon, aluminium, magnesia)),
    ("psi4", water),
    *((model, structure) for model in ("chgnet", "sevennet") for structure in (silicon, magnesia)),
]

Run = Callable[..., Labelling]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Label structures with a code."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def labelled(code: Code, structures: list[Atoms], batch_size: int = 1, **parameters: Any) -> Labelling:
        python = code.python()
        for name, value in code.variables.items():
            monkeypatch.setenv(name, value)
        config = code.config(structures[0], **parameters)
        method = config.method()
        label_command(tmp_path, [computed_structure(atoms, method) for atoms in structures], "emt")
        start = {"command": config.command, "batch_size": batch_size}
        (tmp_path / "method.json").write_text(json.dumps({**job_method(structures, method), **start}))
        for name in ("labels.traj", "failures.jsonl", "summary.json"):
            (tmp_path / name).unlink(missing_ok=True)
        done = subprocess.run(
            [python, SCRIPT, "structures.traj", "method.json"], cwd=tmp_path, timeout=PATIENCE, capture_output=True
        )
        return read_labelling(tmp_path, done.returncode)

    return labelled


def moved(atoms: Atoms, step: float) -> Atoms:
    """Return the structure with its last atom moved along x, y and z."""
    copy = atoms.copy()
    copy.positions[-1] += step * np.array(DIRECTION)
    return copy


DIRECTION = (0.6, 0.64, 0.48)


def strained(atoms: Atoms, step: float) -> Atoms:
    """Return the structure strained along z."""
    copy = atoms.copy()
    copy.set_cell(copy.cell.array @ np.diag([1.0, 1.0, 1.0 + step]), scale_atoms=True)
    return copy


def run_directly(code: Code, atoms: Atoms, folder: Path, **changes: Any) -> list[Any]:
    """Return energy, forces and stress of the ASE calculator of the code, without this package."""
    config = code.config(atoms, **changes)
    method = job_method([atoms], config.method())
    parameters = {**method["parameters"], **(method["variants"][0] if "variants" in method else {})}
    mesh = parameters.get("kpts")
    if code.name == "cp2k":
        del parameters["kpts"]
        points = " ".join(map(str, mesh))
        kpoints = f"&DFT\n&KPOINTS\nSCHEME MONKHORST-PACK {points}\n&END KPOINTS\n"
        parameters["inp"] = parameters["inp"].replace("&DFT\n", kpoints, 1)
    parameters |= code.direct_parameters
    folder.mkdir()
    environment = dict(os.environ)
    if code.name == "abinit":
        folders = parameters.pop("pp_paths")
        (folder / "ase.ini").write_text(f"[abinit]\ncommand = abinit\npp_paths = {' '.join(folders)}\n")
        environment["ASE_CONFIG_PATH"] = str(folder / "ase.ini")
    write(folder / "direct.traj", computed_structure(atoms, config.method()))
    arguments = [code.python(), "-c", DIRECT, json.dumps([*code.direct, parameters])]
    done = subprocess.run(
        arguments, cwd=folder, timeout=PATIENCE, capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "make"), CASES, ids=lambda value: value if isinstance(value, str) else value.__name__)
def test_labels_are_derivatives_of_the_energy_and_those_of_a_direct_run(
    name: str, make: Callable[[], Atoms], run: Run, tmp_path: Path
) -> None:
    code, atoms, step = CODES[name], make(), 0.01
    is_periodic = bool(atoms.pbc.all())
    structures = [atoms, moved(atoms, step), moved(atoms, -step)]
    if is_periodic:
        structures += [strained(atoms, step / 2), strained(atoms, -step / 2)]
    # The stress of oxygen needs a high cutoff to be the derivative of the energy.
    accurate = {"mode": {"name": "pw", "ecut": 900.0}} if (name, make) == ("gpaw", magnesia) else {}
    labelling = run(code, structures, **accurate)
    assert not labelling.failures
    assert not (tmp_path / "scratch").exists()
    energies = [labelling.labels[index]["energy"] for index in range(len(structures))]
    force = -(energies[1] - energies[2]) / (2 * step)
    found = float(labelling.labels[0]["forces"][-1] @ np.array(DIRECTION))
    print(f"{name} {atoms.get_chemical_formula()}: force {found:.5f}, from differences {force:.5f} eV/Å")
    assert found == pytest.approx(force, rel=0.01, abs=2e-3)
    if is_periodic:
        stress = (energies[3] - energies[4]) / step / atoms.get_volume()
        computed = float(labelling.labels[0]["stress"][2])
        print(f"{name} {atoms.get_chemical_formula()}: stress {computed:.6f}, from differences {stress:.6f} eV/Å^3")
        assert computed == pytest.approx(stress, rel=0.01, abs=2e-4)

    energy, forces, stresses = run_directly(code, atoms, tmp_path / "direct", **accurate)
    assert energies[0] == energy
    assert labelling.labels[0]["forces"].tolist() == forces
    if is_periodic:
        assert labelling.labels[0]["stress"].tolist() == stresses


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, code in CODES.items() if code.unconverged])
def test_an_unconverged_calculation_is_a_failed_label_whose_files_are_kept(name: str, run: Run, tmp_path: Path) -> None:
    labelling = run(CODES[name], [silicon()], **CODES[name].unconverged or {})
    assert not labelling.labels
    assert labelling.failures[0]["kind"] == "not_converged", labelling.failures
    assert "scratch/000000" in labelling.failures[0]["reason"]
    assert any((tmp_path / "scratch" / "000000").iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["chgnet", "sevennet"])
def test_a_model_labels_structures_in_batches_and_those_without_a_cell(name: str, run: Run) -> None:
    structures = [silicon(), bulk("Si", cubic=True), Atoms("Si2", positions=[[0, 0, 0], [0, 0, 2.3]]), Atoms("Si")]
    alone, together = run(CODES[name], structures), run(CODES[name], structures, batch_size=3)
    assert len(alone.labels) == len(together.labels) == 4
    for index, atoms in enumerate(structures):
        one, many = alone.labels[index], together.labels[index]
        assert many["energy"] == pytest.approx(one["energy"], abs=1e-4 * len(atoms))
        assert many["forces"] == pytest.approx(one["forces"], abs=1e-3)
        assert many["stress"] == pytest.approx(one["stress"], abs=1e-5)
    assert alone.labels[0]["energy"] != alone.labels[2]["energy"]


@pytest.mark.slow
def test_psi4_computes_atoms_with_their_spin_and_refuses_periodic_structures(run: Run) -> None:
    labelling = run(CODES["psi4"], [Atoms("N"), Atoms("N2", positions=[[0, 0, 0], [0, 0, 1.1]]), silicon()])
    assert labelling.labels.keys() == {0, 1}
    assert labelling.failures[2]["kind"] == "periodic"
    # With PBE about 10.5 eV; atoms that are not quartets would lie some eV higher.
    bound = 2 * labelling.labels[0]["energy"] - labelling.labels[1]["energy"]
    assert 9.0 < bound < 12.0
