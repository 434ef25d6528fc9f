"""Silicon by pw.x: errors against the number of labels, without and with a foundation model as teacher.

    python -m tests.benchmarks.bench_teacher FOLDER [--counts 15 30 60] [--teacher chgnet] [--teacher-labels 300]
                                             [--teacher-python PYTHON] [--seed 1]

The oracle is pw.x with the local density approximation, small cells and a low cutoff. The test set is molecular dynamics by a
Tersoff potential, which no part of the pipeline uses: diamond from 300 to 1,500 K, with other volumes, with a vacancy, and the
liquid. Prints for each number of labels the root mean square errors of energies (meV/atom) and forces (eV/Å) of fits to

- `random`: generated structures, without selection;
- `selected`: the selection from a pool of generated structures;
- `explored`: the selection from this pool and the frames explored with the potential of the teacher; the fit does not use the
  teacher as prior;
- `prior`: the same labels, with the teacher as prior if cross-validation says so.

Labels are kept in FOLDER and computed once. Stages, jobs and fits are those of a run, but without AiiDA.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.tersoff import Tersoff, TersoffParameters
from ase.io.trajectory import Trajectory
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution

from aiida_mlip_autopipec.config.schemas.exploration import ExplorationConfig
from aiida_mlip_autopipec.config.schemas.generator import GeneratorConfig
from aiida_mlip_autopipec.config.schemas.oracle import AseOracleConfig
from aiida_mlip_autopipec.config.schemas.teacher import TeacherConfig
from aiida_mlip_autopipec.config.schemas.training import TrainingConfig
from aiida_mlip_autopipec.dataset.identity import structure_key
from aiida_mlip_autopipec.dataset.trajectory import attach_labels
from aiida_mlip_autopipec.exploration.calcfunctions import program_settings
from aiida_mlip_autopipec.exploration.samplers import make_samplers
from aiida_mlip_autopipec.generator.structure import StructureGenerator
from aiida_mlip_autopipec.oracle.ase_inputs import computed_structure, job_method
from aiida_mlip_autopipec.oracle.complete import complete
from aiida_mlip_autopipec.programs.codes import JOBS
from aiida_mlip_autopipec.training.pacemaker_input import input_yaml

from .selected import selected

ELEMENTS = ["Si"]

ORACLE = AseOracleConfig(
    calculator="espresso",
    command="pw.x",
    parameters={
        "pseudo_dir": "/usr/share/espresso/pseudo",
        "pseudopotentials": {"Si": "Si.pz-vbc.UPF"},
        "input_data": {
            "control": {"tprnfor": True, "tstress": True},
            "system": {"ecutwfc": 14.0, "occupations": "smearing", "smearing": "gaussian", "degauss": 0.02},
            "electrons": {"conv_thr": 1e-7, "mixing_beta": 0.5, "electron_maxstep": 150},
        },
    },
    kpoints_distance=0.4,
    vacuum=3.0,
)
"""Not converged, but the same for all curves."""

GENERATOR: dict[str, Any] = {
    "max_atoms": 8,
    "prototypes": ("diamond", "bcc", "sc"),
    "weights": {"dimer": 1.0, "trimer": 0.0, "surface": 0.0, "cluster": 0.0},
}

EXPLORATION = ExplorationConfig(
    walkers={
        "nvt": 5,
        "npt": 5,
        "vacancy": 2,
        "surface": 0,
        "cluster": 0,
        "deformation": 3,
        "relaxation": 6,
        "melt_quench": 2,
    },
    max_atoms=8,
    steps=500,
    melt_quench_steps=1000,
    save_interval=TeacherConfig.model_fields["save_interval"].default,
    stop_grade=ExplorationConfig().select_grade,
)

TRAINING = TrainingConfig(cutoff=5.5, max_functions=300, test_fraction=0.0)

TERSOFF = TersoffParameters(
    3.0, 1.0, 1.7322, 1.0039e5, 16.218, -0.59826, 0.78734, 1.0999e-6, 1.7322, 471.18, 2.85, 0.15, 2.4799, 1830.8
)
"""Tersoff, Phys. Rev. B 39, 5566 (1989)."""


class Labeller:
    """Labels structures by the program of the oracle, each only once.

    :param python: the Python that has the calculator.
    :param folder: folder of the labels.
    """

    def __init__(self, config: AseOracleConfig, python: str, folder: Path) -> None:
        self._method, self._python, self._folder = complete(config, ELEMENTS).method(), python, folder
        self._batch_size, self._command = complete(config, ELEMENTS).batch_size, config.command
        folder.mkdir(parents=True, exist_ok=True)

    def label(self, structures: Sequence[Atoms]) -> list[Atoms]:
        """Return the structures with labels; a structure whose label fails is left out."""
        missing = {structure_key(atoms): atoms for atoms in structures if not self._path(atoms).exists()}
        if missing:
            self._compute(list(missing.values()))
        labels = [self._path(atoms).read_text() if self._path(atoms).exists() else "" for atoms in structures]
        return [_with_labels(atoms, text) for atoms, text in zip(structures, labels, strict=True) if text]

    def _path(self, atoms: Atoms) -> Path:
        return self._folder / f"{structure_key(atoms)}.json"

    def _compute(self, structures: Sequence[Atoms]) -> None:
        job = self._folder / f"job{len(list(self._folder.glob('job*')))}"
        job.mkdir()
        with Trajectory(str(job / "structures.traj"), "w") as file:
            for atoms in structures:
                file.write(computed_structure(atoms, self._method))
        start = {"command": self._command, "batch_size": self._batch_size}
        method = job_method(structures, self._method) | {key: value for key, value in start.items() if value}
        (job / "method.json").write_text(json.dumps(method))
        _run(self._python, "label_structures", ["structures.traj", "method.json"], job)
        with Trajectory(str(job / "labels.traj")) as file:
            for labelled in file:
                results = labelled.calc.results
                content = {
                    name: np.asarray(results[name]).tolist()
                    for name in ("energy", "forces", "stress")
                    if name in results
                }
                self._path(structures[int(labelled.info["index"])]).write_text(json.dumps(content))


def _with_labels(atoms: Atoms, text: str) -> Atoms:
    labelled = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc, info=dict(atoms.info))
    labels = {name: np.array(value) if name != "energy" else value for name, value in json.loads(text).items()}
    if not atoms.pbc.all():
        labels.pop("stress", None)
    return attach_labels(labelled, labels)


def _run(python: str, program: str, arguments: Sequence[str], folder: Path) -> None:
    done = subprocess.run(
        [python, str(JOBS / program), *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    (folder / "log.txt").write_text(done.stdout + done.stderr)
    if done.returncode:
        raise SystemExit(f"{program} in {folder} failed:\n{(done.stdout + done.stderr)[-3000:]}")


def explored(taught: Path, folder: Path, seed: int) -> list[Atoms]:
    """Return the frames that exploration with the potential of the teacher saves."""
    folder.mkdir(exist_ok=True)
    config = EXPLORATION.model_copy(update={"seed": seed})
    if not (folder / "exploration.json").exists():
        (folder / "settings.json").write_text(json.dumps(program_settings(config)))
        with Trajectory(str(folder / "walkers.traj"), "w") as file:
            for atoms in make_samplers(ELEMENTS, config, 0):
                file.write(atoms)
        files = [str((taught / f"potential.{suffix}").resolve()) for suffix in ("yaml", "asi")]
        _run(sys.executable, "explore_structures", ["--workers", "1", "settings.json", "walkers.traj", *files], folder)
    with Trajectory(str(folder / "frames.traj")) as file:
        return list(file)


def fitted(frames: Sequence[Atoms], folder: Path, teacher: Path | None = None) -> dict[str, Any]:
    """Fit a potential in a folder, and return its metrics."""
    folder.mkdir(exist_ok=True)
    (folder / "input.yaml").write_text(input_yaml(TRAINING, ELEMENTS))
    with Trajectory(str(folder / "dataset.traj"), "w") as file:
        for number, atoms in enumerate(frames):
            atoms.info |= {"split": "train", "group": number}
            file.write(atoms)
    given = [] if teacher is None else [str((teacher / "potential.yaml").resolve())]
    _run(sys.executable, "pace_train", ["--workers", "1", "input.yaml", "dataset.traj", *given], folder)
    metrics: dict[str, Any] = json.loads((folder / "metrics.json").read_text())
    return metrics


def errors(folder: Path, test: Sequence[Atoms], free_atom: float) -> tuple[float, float]:
    """Return the RMSE of energies (meV/atom) and forces (eV/Å) of a potential on labelled structures."""
    from pyace import PyACECalculator

    calculator, energies, forces = PyACECalculator(str(folder / "potential.yace")), [], []
    for atoms in test:
        mine = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc, calculator=calculator)
        energies.append((mine.get_potential_energy() - atoms.get_potential_energy()) / len(atoms) + free_atom)
        forces.append((mine.get_forces() - atoms.get_forces()).ravel())
    return 1000 * float(np.sqrt(np.mean(np.square(energies)))), float(np.sqrt(np.mean(np.concatenate(forces) ** 2)))


def test_structures() -> Iterator[Atoms]:
    """Yield the structures of the test set, the same each time."""
    random = np.random.default_rng(2027)
    crystal = bulk("Si", a=5.43, cubic=True)
    for temperature, length in ((300.0, 1.0), (900.0, 1.0), (1500.0, 1.0), (600.0, 0.97), (600.0, 1.03)):
        cell = crystal.copy()
        cell.set_cell(cell.cell * length, scale_atoms=True)
        yield from _dynamics("solid", cell, temperature, 3, random)
    vacancy = crystal.copy()
    del vacancy[0]
    yield from _dynamics("vacancy", vacancy, 900.0, 3, random)
    liquid = crystal.copy()
    liquid.set_cell(liquid.cell * 0.97, scale_atoms=True)
    *_, melt = _dynamics("liquid", liquid, 6000.0, 1, random)
    yield from _dynamics("liquid", melt, 2500.0, 6, random)


def _dynamics(kind: str, start: Atoms, temperature: float, count: int, random: np.random.Generator) -> Iterator[Atoms]:
    """Yield frames of molecular dynamics at constant temperature (K) and volume."""
    calculator = Tersoff({("Si", "Si", "Si"): TERSOFF})
    atoms = Atoms(start.numbers, positions=start.positions, cell=start.cell, pbc=True, calculator=calculator)
    MaxwellBoltzmannDistribution(atoms, temperature_K=temperature, rng=random)
    run = Langevin(atoms, 1.0 * units.fs, temperature_K=temperature, friction=0.05 / units.fs, rng=random)
    run.run(150)
    for _ in range(count):
        run.run(60)
        yield Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True, info={"family": kind})


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--counts", type=int, nargs="+", default=[15, 30, 60])
    parser.add_argument("--teacher", default="chgnet")
    parser.add_argument("--teacher-labels", type=int, default=300)
    parser.add_argument("--teacher-python", default=sys.executable)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    folder, most = arguments.folder, max(arguments.counts)
    oracle = Labeller(ORACLE, sys.executable, folder / "oracle")
    generator = StructureGenerator(GeneratorConfig(seed=arguments.seed, **GENERATOR))
    atom, *others = generator.generate(ELEMENTS, most)
    shuffled = [atom, *(others[i] for i in np.random.default_rng(arguments.seed).permutation(len(others)))]
    pool = generator.generate_pool(ELEMENTS, most, 4, 50)

    teacher = Labeller(AseOracleConfig(calculator=arguments.teacher), arguments.teacher_python, folder / "teacher")
    taught = folder / "taught"
    if not (taught / "potential.yaml").exists():
        labels = teacher.label(generator.generate(ELEMENTS, arguments.teacher_labels))
        metrics = fitted(labels, taught)
        print(
            f"teacher: {len(labels)} labels, {metrics['n_functions']} functions, training errors {metrics['train']}",
            flush=True,
        )
    frames = explored(taught, folder / "explored", arguments.seed)
    print(f"pool {len(pool)}, explored {len(frames)}", flush=True)

    test = oracle.label(list(test_structures()))
    (free_atom,) = oracle.label([atom])
    energy, force = errors(taught, test, free_atom.get_potential_energy())
    print(f"{len(test)} test structures; teacher's potential: {energy:.1f} meV/atom, {force:.4f} eV/Å", flush=True)
    for count in arguments.counts:
        sets = {"random": shuffled[:count], "selected": selected(pool, count)}
        sets["explored"] = selected([*pool, *frames], count)
        for name, structures in sets.items():
            labels = oracle.label(structures)
            fits: dict[str, Path | None] = {name: None}
            if name == "explored":
                fits["prior"] = taught
            for kind, given in fits.items():
                place = folder / f"{kind}{count}"
                metrics = fitted(labels, place, given)
                energy, force = errors(place, test, metrics["reference_energies_eV"]["Si"])
                print(
                    f"{kind:9} {count:4} asked, {len(labels):4} labels: {energy:8.1f} meV/atom, {force:.4f} eV/Å; "
                    f"{metrics['n_functions']} functions {json.dumps(metrics.get('teacher', {}).get('candidates', ''))} "
                    f"{metrics.get('teacher', {}).get('use', '')}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
