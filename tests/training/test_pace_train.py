"""The program `pace_train`, run as a cluster would run it."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.eos import EquationOfState
from ase.io import read
from ase.io.trajectory import Trajectory

from aiida_mlip_autopipec.config.schemas.training import TrainingConfig
from aiida_mlip_autopipec.trainer.database import DatabaseManager
from aiida_mlip_autopipec.training.pacemaker_input import input_yaml

from ..conftest import label_by_emt
from ..warm_python import run_fresh, run_warm
from .conftest import WarmPacemaker

SCRIPT = files("aiida_mlip_autopipec") / "jobs" / "pace_train"

Fit = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def fit(tmp_path: Path, small_fit: TrainingConfig) -> Fit:
    """Write the input files of a fit to the temporary folder and run the program there."""

    def run(
        frames: list[Atoms],
        workers: int = 1,
        change: Callable[[dict], Any] | None = None,
        run_program: Callable[..., subprocess.CompletedProcess[str]] = run_warm,
        **settings: Any,
    ):
        config = small_fit.model_copy(update=settings)
        content = yaml.safe_load(
            input_yaml(config, sorted({symbol for a in frames for symbol in a.get_chemical_symbols()}))
        )
        if change is not None:
            change(content)
        (tmp_path / "input.yaml").write_text(yaml.safe_dump(content))
        with Trajectory(str(tmp_path / "dataset.traj"), "w") as trajectory:
            for atoms in frames:
                trajectory.write(atoms)
        return run_program(SCRIPT, ["--workers", str(workers), "input.yaml", "dataset.traj"], tmp_path)

    return run


def failure(folder: Path) -> dict[str, str]:
    assert not (folder / "potential.yace").exists()
    assert not (folder / "unfinished").exists()
    return json.loads((folder / "failure.json").read_text())


def test_fit_writes_all_files(fitted: Path) -> None:
    names = {"potential.yace", "potential.yaml", "potential.asi", "metrics.json", "predictions.npz"}
    assert names <= {path.name for path in fitted.iterdir()}
    assert not (fitted / "failure.json").exists()


def test_the_metrics_describe_the_fit(fitted: Path) -> None:
    metrics = json.loads((fitted / "metrics.json").read_text())
    for split in ("train", "test"):
        assert set(metrics[split]) >= {
            "energy_mae_meV_per_atom",
            "energy_rmse_meV_per_atom",
            "force_mae_eV_per_A",
            "force_rmse_eV_per_A",
            "n_structures",
            "n_atoms",
        }
    assert metrics["train"]["n_structures"] + metrics["test"]["n_structures"] == 30
    assert metrics["engine"] == "linear"
    assert metrics["n_functions"] == 20
    assert metrics["cutoff_A"] == 5.0
    assert metrics["reference_energies_eV"] == {"Cu": pytest.approx(3.51)}
    assert metrics["reference_energies_source"] == "isolated_atoms"
    assert metrics["stress_used"] is True
    assert metrics["wall_time_s"] > 0 and metrics["peak_memory_MB"] > 0
    assert metrics["cpu_time_s"] > 0 and metrics["microseconds_per_atom"] > 0
    assert {"python", "python-ace", "numpy", "ase"} <= set(metrics["versions"])


def test_the_log_has_each_step_of_the_fit_and_the_remaining_time(fitted: Path) -> None:
    log = (fitted / "log.txt").read_text()
    steps = re.findall(r"progress: step (\d) of (\d), .*?, \d+ %, \d+ s left", log)
    assert [int(step) for step, _ in steps] == sorted(int(step) for step, _ in steps)
    assert {step for step, _ in steps} == set("12345") and {of for _, of in steps} == {"5"}


def test_processor_time_does_not_count_waiting() -> None:
    from mlip_train.cpu_time import cpu_seconds

    before = cpu_seconds()
    subprocess.run(["sleep", "0.3"], check=True)
    assert cpu_seconds() - before < 0.3


def test_duplicates_of_training_structures_are_excluded_from_the_test_errors() -> None:
    from mlip_train.data import Frame, ReferenceEnergies
    from mlip_train.metrics import split_errors

    def frame(split: str, group: int, energy: float) -> Frame:
        return Frame(Atoms("Cu"), energy, np.zeros((1, 3)), None, split, group, "atom")

    frames = [frame("train", 0, 0.0), frame("test", 0, 0.0), frame("test", 1, 0.002), frame("test", 2, 0.002)]
    predictions = [(0.0, np.zeros((1, 3)))] * 4
    found = split_errors(frames, predictions, ReferenceEnergies({"Cu": 0.0}, "given"))
    assert found["test_overlap"] == 1 and found["test"]["n_structures"] == 2
    assert found["test"]["energy_rmse_meV_per_atom"] == pytest.approx(2.0)
    assert found["test_with_overlap"]["n_structures"] == 3
    assert found["test_with_overlap"]["energy_rmse_meV_per_atom"] == pytest.approx(2.0 * (2 / 3) ** 0.5)


def test_learning_curves_end_at_the_fit(fitted: Path) -> None:
    metrics = json.loads((fitted / "metrics.json").read_text())
    by_structures, by_functions = (metrics["learning_curve"][name] for name in ("by_structures", "by_functions"))
    structures = [point["n_structures"] for point in by_structures]
    assert structures == sorted(structures) and structures[-1] < metrics["train"]["n_structures"]
    functions = [point["n_functions"] for point in by_functions]
    assert functions == sorted(functions) and functions[-1] == metrics["n_functions"]
    # The fit itself is the last point of both curves.
    assert by_structures[-1] == by_functions[-1]
    assert by_structures[-1]["force_rms"] == pytest.approx(metrics["chosen"]["validation_force_rms"])
    assert all(point["microseconds_per_atom"] > 0.0 for point in by_functions[:-1])


def test_the_metrics_are_those_of_the_potential_file(fitted: Path) -> None:
    from pyace import PyACECalculator

    metrics = json.loads((fitted / "metrics.json").read_text())
    calculator = PyACECalculator(str(fitted / "potential.yace"))
    errors = []
    for atoms in read(fitted / "dataset.traj", ":"):
        if atoms.info["split"] == "test":
            reference, copy = atoms.get_potential_energy(), atoms.copy()
            copy.calc = calculator
            errors.append((copy.get_potential_energy() + 3.51 * len(atoms) - reference) / len(atoms))
    rmse = 1000 * np.sqrt(np.mean(np.square(errors)))
    assert metrics["test"]["energy_rmse_meV_per_atom"] == pytest.approx(rmse, rel=1e-9)


def test_the_potential_is_right_around_the_crystal(
    tmp_path: Path, thirty_copper: list[Atoms], small_fit: TrainingConfig
) -> None:
    from pyace import PyACECalculator

    DatabaseManager().save_dataset(thirty_copper, tmp_path / "copper.traj")
    finer = small_fit.model_copy(update={"n_functions": 40})
    potential = WarmPacemaker(tmp_path / "fit", workers=1).train(tmp_path / "copper.traj", finer)

    def lattice_constant(calculator: Any) -> float:
        volumes, energies = [], []
        for a in np.linspace(3.5, 3.7, 9):
            atoms = bulk("Cu", a=a)
            atoms.calc = calculator
            volumes.append(atoms.get_volume())
            energies.append(atoms.get_potential_energy())
        return float((4 * EquationOfState(volumes, energies).fit()[0]) ** (1 / 3))

    ours = lattice_constant(PyACECalculator(str(potential)))
    assert ours == pytest.approx(lattice_constant(EMT()), rel=0.01)


def test_close_atoms_repel_each_other(fitted: Path) -> None:
    from pyace import PyACECalculator

    dimer = Atoms("Cu2", positions=np.zeros((2, 3)))
    dimer.calc = PyACECalculator(str(fitted / "potential.yace"))
    energies = []
    for distance in np.arange(0.3, 1.8, 0.05):
        dimer.positions[1, 2] = distance
        energies.append(dimer.get_potential_energy())
    assert (np.diff(energies) < 0).all()


def test_the_active_set_belongs_to_the_potential(fitted: Path) -> None:
    from pyace import PyACECalculator

    calculator = PyACECalculator(str(fitted / "potential.yaml"))
    calculator.set_active_set(str(fitted / "potential.asi"))
    atoms = bulk("Cu", cubic=True)
    atoms.calc = calculator
    atoms.get_potential_energy()
    inside = calculator.results["gamma"].max()
    atoms.rattle(0.8, seed=1)
    atoms.get_potential_energy()
    assert inside < 2 < calculator.results["gamma"].max()


def test_any_number_of_workers_gives_the_same_potential(fit: Fit, thirty_copper: list[Atoms], tmp_path: Path) -> None:
    energies = []
    for workers in (1, 3):
        assert fit(thirty_copper, workers=workers).returncode == 0
        with np.load(tmp_path / "predictions.npz") as arrays:
            energies.append(arrays["energy_predicted"])
    assert np.abs(energies[0] - energies[1]).max() < 1e-8


def test_two_elements_without_isolated_atoms(fit: Fit, tmp_path: Path) -> None:
    frames = []
    for seed in range(12):
        atoms = bulk("Cu", cubic=True, a=3.7)
        atoms.symbols[:2] = "Al"
        if seed % 3 == 0:
            atoms.symbols[2:] = "Al"
        atoms.rattle(0.1, seed=seed)
        calculated = atoms.copy()
        calculated.calc = EMT()
        calculated.get_forces()
        frames.append(calculated)
    done = fit(frames, n_functions=10)
    assert done.returncode == 0, done.stdout
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert set(metrics["reference_energies_eV"]) == {"Al", "Cu"}
    assert metrics["reference_energies_source"] == "least_squares"
    assert metrics["test"] is None
    assert metrics["train"]["energy_rmse_meV_per_atom"] < 20


def test_auto_settings_have_a_reason(fit: Fit, thirty_copper: list[Atoms], tmp_path: Path) -> None:
    assert fit(thirty_copper, cutoff="auto", n_functions="auto").returncode == 0
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert 4.0 <= metrics["cutoff_A"] <= 8.0
    assert "too few structures for trials" in metrics["chosen"]["cutoff"]
    assert "atoms" in metrics["chosen"]["n_functions"]
    assert "cross-validation" in metrics["chosen"]["chosen_by"]


def many_copper(count: int) -> list[Atoms]:
    frames = []
    for seed in range(count):
        atoms = bulk("Cu", cubic=True, a=3.5 + 0.004 * (seed % 50))
        atoms.rattle(0.1, seed=seed)
        atoms.info.update(split="test" if seed % 10 == 0 else "train", group=seed, family="bulk")
        frames.append(label_by_emt(atoms))
    return frames


def test_the_cutoff_is_chosen_by_trials(fit: Fit, tmp_path: Path) -> None:
    done = fit(many_copper(70), cutoff="auto", n_functions=20)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("trial:") >= 3
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert f"{metrics['cutoff_A']:g} Å 1.000" in metrics["chosen"]["cutoff"]


def test_a_time_limit_lowers_the_number_of_functions(fit: Fit, tmp_path: Path) -> None:
    assert fit(many_copper(70), cutoff=6.0, n_functions="auto", order=4).returncode == 0
    unlimited = json.loads((tmp_path / "metrics.json").read_text())["n_functions"]
    done = fit(many_copper(70), cutoff=6.0, n_functions="auto", order=4, time_limit=0.05)
    assert done.returncode == 0, done.stdout
    assert "more would take longer than" in done.stdout
    assert json.loads((tmp_path / "metrics.json").read_text())["n_functions"] < unlimited


def test_duplicates_count_as_one_structure(fit: Fit, tmp_path: Path) -> None:
    def energies(frames: list[Atoms]) -> np.ndarray:
        assert fit(frames, ridge=1e-8, energy_weight=10.0, embedding=False).returncode == 0
        with np.load(tmp_path / "predictions.npz") as arrays:
            return np.unique(np.round(arrays["energy_predicted"], 9))

    frames = [atoms for atoms in many_copper(20) if atoms.info["split"] == "train"]
    duplicated = [*frames, *frames[:5], *frames[:5]]
    assert np.allclose(energies(frames), energies(duplicated), atol=1e-6)


def test_a_single_structure_gives_a_valid_fit_or_a_clear_failure(fit: Fit, tmp_path: Path) -> None:
    done = fit(many_copper(2)[1:], n_functions="auto")
    assert done.returncode in (0, 12), done.stdout
    if done.returncode == 0:
        assert "NaN" not in (tmp_path / "metrics.json").read_text()


def misspell(content: dict) -> None:
    content["fit"]["loss"] = {"kapa": 0.3}


def number_as_reference(content: dict) -> None:
    content["data"]["reference_energy"] = -1.5


def no_such_element(content: dict) -> None:
    content["potential"]["elements"] = ["Al"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (misspell, "unknown key 'fit.loss.kapa'"),
        (number_as_reference, "data.reference_energy"),
        (no_such_element, "contains Cu"),
        (lambda content: content.pop("potential"), "needs the section 'potential'"),
        (lambda content: content["pace_train"].update(engine="magic"), "allowed: linear, nonlinear"),
    ],
)
def test_error_names_wrong_input(
    fit: Fit, thirty_copper: list[Atoms], tmp_path: Path, change: Callable[[dict], Any], message: str
) -> None:
    assert fit(thirty_copper, change=change).returncode == 10
    written = failure(tmp_path)
    assert written["kind"] == "bad_input"
    assert message in written["message"]


def test_error_names_faulty_structures(fit: Fit, thirty_copper: list[Atoms], tmp_path: Path) -> None:
    slab = bulk("Cu", cubic=True)
    slab.pbc = [True, True, False]
    slab.calc = EMT()
    slab.get_forces()
    assert fit([*thirty_copper, slab]).returncode == 10
    assert "structure 30 (Cu4): is periodic in some directions only" in failure(tmp_path)["message"]
    unlabelled = bulk("Cu", cubic=True)
    assert fit([unlabelled, *thirty_copper]).returncode == 10
    assert "structure 0 (Cu4): has no energy and no forces" in failure(tmp_path)["message"]


def test_failure_without_neighbours_inside_the_cutoff(fit: Fit, tmp_path: Path) -> None:
    frames = []
    for distance in (5.5, 6.0, 7.0):
        dimer = Atoms("Cu2", positions=[[0, 0, 0], [0, 0, distance]])
        dimer.calc = EMT()
        dimer.get_forces()
        frames.append(dimer)
    assert fit(frames).returncode == 11
    assert "raise the cutoff" in failure(tmp_path)["message"]


def test_failure_with_only_isolated_atoms_does_not_name_the_cutoff(fit: Fit, tmp_path: Path) -> None:
    atom = Atoms("Cu", cell=[20.0, 20.0, 20.0], pbc=True)
    atom.calc = EMT()
    atom.get_forces()
    assert fit([atom]).returncode == 11
    message = failure(tmp_path)["message"]
    assert "all training structures are isolated atoms: add structures with bonds" in message
    assert "raise the cutoff" not in message


def test_failure_with_more_functions_than_atoms(fit: Fit, thirty_copper: list[Atoms], tmp_path: Path) -> None:
    assert fit(thirty_copper[:10], n_functions=500).returncode == 12
    assert "500 functions per element, but the training structures have only" in failure(tmp_path)["message"]


def test_error_without_python_ace_says_how_to_install_it(
    fit: Fit, thirty_copper: list[Atoms], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyace.py").write_text("raise ImportError('not here')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert fit(thirty_copper, run_program=run_fresh).returncode == 15
    assert "pip install" in failure(tmp_path)["message"]


def test_the_nonlinear_engine_runs_pacemaker(fit: Fit, thirty_copper: list[Atoms], tmp_path: Path) -> None:
    done = fit(thirty_copper, engine="nonlinear", evaluator="pyace", n_functions=6, order=2, max_epochs=15)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "Iteration" in done.stdout
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    linear, nonlinear = (
        np.prod(list(metrics["chosen"][f"validation_{engine}"].values())) for engine in ("linear", "nonlinear")
    )
    assert metrics["engine"] == ("nonlinear" if nonlinear < linear else "linear")
    with np.load(tmp_path / "predictions.npz") as arrays:
        spread = np.std(arrays["energy_reference"])
        error = np.sqrt(np.mean((arrays["energy_predicted"] - arrays["energy_reference"]) ** 2))
    assert error < 0.5 * spread
