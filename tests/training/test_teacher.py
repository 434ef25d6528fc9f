"""The potential of a teacher as the prior of a fit."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.emt import EMT
from ase.io.trajectory import Trajectory
from mlip_train.hyperparameters import FunctionSelection, best_ridge, initial_weights
from mlip_train.problem import Problem, Ridge
from mlip_train.settings import FitSettings

from aiida_mlip_autopipec.config.schemas.generator import GeneratorConfig
from aiida_mlip_autopipec.config.schemas.training import TrainingConfig
from aiida_mlip_autopipec.dataset.trajectory import attach_labels
from aiida_mlip_autopipec.generator.structure import StructureGenerator
from aiida_mlip_autopipec.training.pacemaker_input import input_yaml

from ..warm_python import run_warm
from .test_hyperparameters import problem_of
from .test_pace_train import SCRIPT

Fit = Callable[..., dict[str, Any]]


def test_fit_solves_for_the_difference_from_the_prior() -> None:
    generator = np.random.default_rng(13)
    matrix, origin = generator.normal(size=(60, 12)), generator.normal(size=12)
    target = matrix @ generator.normal(size=12) + generator.normal(size=60)
    plain = problem_of(matrix, target - matrix @ origin)
    moved = Problem(problem_of(matrix, target).factors, plain.penalty, 1.0, origin=origin)
    weights, functions = initial_weights(FitSettings({})), np.arange(12)
    for ridge in (1e-10, 1e-2):
        solved = [
            Ridge.of_normal_matrix(problem.normal_matrix(weights, [0, 1, 2], functions), problem.penalty).solve(ridge)
            for problem in (plain, moved)
        ]
        assert solved[1] == pytest.approx(solved[0], abs=1e-12)
        assert moved.errors(3, functions, solved[1]) == pytest.approx(plain.errors(3, functions, solved[0]))
        rows = moved.stack(weights, [0, 1, 2], functions)
        assert Ridge.of_rows(rows, moved.penalty).solve(ridge) == pytest.approx(solved[0], abs=1e-9)
        assert moved.total(functions, solved[1]) == pytest.approx(origin + solved[0])


def test_strong_ridge_gives_the_coefficients_of_the_prior() -> None:
    generator = np.random.default_rng(14)
    matrix, origin = generator.normal(size=(40, 60)), generator.normal(size=60)
    problem = problem_of(matrix, matrix @ origin + 0.1 * generator.normal(size=40))
    with_origin = Problem(problem.factors, problem.penalty, 1.0, origin=origin)
    ridges, weights = (1e-12, 1e-6, 1.0), initial_weights(FitSettings({}))
    known, unknown = (
        best_ridge(one, FunctionSelection.all_candidates(one), weights, ridges, 1) for one in (with_origin, problem)
    )
    assert known.ridge == 1.0
    assert known.force_error == pytest.approx(0.1, rel=0.3)
    assert unknown.force_error > 5 * known.force_error


def labelled(structures: list[Atoms], offset: float = 0.0, bulk: float = 0.0) -> list[Atoms]:
    """Return structures with EMT labels, with an offset (eV) of the energy per atom, and a further one (`bulk`) in crystals."""
    found = []
    for atoms in structures:
        computed = Atoms(
            atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc, info=dict(atoms.info)
        )
        computed.calc = EMT()
        energy = computed.get_potential_energy() + (offset + bulk * (atoms.pbc.all() and len(atoms) > 1)) * len(atoms)
        labels: dict[str, Any] = {"energy": energy, "forces": computed.get_forces()}
        computed.calc = None
        computed.info |= {"split": "train", "group": len(found)}
        found.append(attach_labels(computed, labels))
    return found


@pytest.fixture(scope="module")
def structures() -> list[Atoms]:
    """A free atom, and copper of all kinds in random order."""
    atom, *others = StructureGenerator(GeneratorConfig(max_atoms=8)).generate(["Cu"], 90)
    return [atom, *(others[index] for index in np.random.default_rng(2).permutation(len(others)))]


@pytest.fixture
def fit(tmp_path: Path) -> Fit:
    """Fit in a folder of the temporary folder; return the metrics."""

    def run(name: str, frames: list[Atoms], teacher: str | None = None, **settings: Any) -> dict[str, Any]:
        folder = tmp_path / name
        folder.mkdir()
        config = TrainingConfig(**{"n_functions": 30, "cutoff": 5.0, "order": 3, "core_repulsion": False, **settings})
        (folder / "input.yaml").write_text(input_yaml(config, ["Cu"]))
        with Trajectory(str(folder / "dataset.traj"), "w") as file:
            for atoms in frames:
                file.write(atoms)
        given = [] if teacher is None else [str(tmp_path / teacher / "potential.yaml")]
        done = run_warm(SCRIPT, ["--workers", "1", "input.yaml", "dataset.traj", *given], folder)
        (folder / "log.txt").write_text(done.stdout)
        if done.returncode:
            return json.loads((folder / "failure.json").read_text())
        return json.loads((folder / "metrics.json").read_text())

    return run


def errors_of(folder: Path, frames: list[Atoms], free_atom: float) -> tuple[float, float]:
    """Return the RMSE of energies (eV/atom) and forces (eV/Å) of a potential on periodic structures."""
    from pyace import PyACECalculator

    calculator, energies, forces = PyACECalculator(str(folder / "potential.yace")), [], []
    for atoms in (atoms for atoms in frames if atoms.pbc.all()):
        mine = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc, calculator=calculator)
        energies.append((mine.get_potential_energy() - atoms.get_potential_energy()) / len(atoms) + free_atom)
        forces.append((mine.get_forces() - atoms.get_forces()).ravel())
    return float(np.sqrt(np.mean(np.square(energies)))), float(np.sqrt(np.mean(np.concatenate(forces) ** 2)))


def test_few_labels_suffice_with_a_good_teacher(fit: Fit, structures: list[Atoms], tmp_path: Path) -> None:
    """The free atoms of teacher and oracle have different energies."""
    fit("teacher", labelled(structures[:70], offset=-7.0))
    few = labelled(structures[:14])
    alone, taught = fit("alone", few, n_functions=12), fit("taught", few, "teacher", n_functions=12)
    assert taught["teacher"]["use"] == "exploration and prior"
    assert taught["n_functions"] == 30 == taught["teacher"]["candidates"]["prior"]["n_functions"]
    assert "teacher" not in alone
    candidates = taught["teacher"]["candidates"]
    assert candidates["prior"]["validation_force_rms"] < candidates["no prior"]["validation_force_rms"]
    assert candidates["no prior"]["validation_force_rms"] == alone["chosen"]["validation_force_rms"]
    assert taught["chosen"]["cutoff"] == "that of the teacher"
    assert taught["reference_energies_eV"] == alone["reference_energies_eV"]
    assert taught["learning_curve"]["by_functions"] == taught["learning_curve"]["by_structures"][-1:]
    test, free = labelled(structures[70:]), alone["reference_energies_eV"]["Cu"]
    errors = {name: errors_of(tmp_path / name, test, free) for name in ("alone", "taught")}
    assert errors["taught"][0] < 0.7 * errors["alone"][0]
    assert errors["taught"][1] < 0.7 * errors["alone"][1]


def test_prior_with_offset_corrects_wrong_free_atom_energies(fit: Fit, structures: list[Atoms]) -> None:
    fit("teacher", labelled(structures[:70], bulk=1.0), n_functions=60, embedding=False)
    few = labelled(structures[:30])
    alone = fit("alone", few, n_functions=15, embedding=False)
    taught = fit("taught", few, "teacher", n_functions=15, embedding=False)
    assert taught["teacher"]["chosen"] == "prior with offset"
    errors = {
        name: candidate["validation_energy_rms"] * candidate["validation_force_rms"]
        for name, candidate in taught["teacher"]["candidates"].items()
    }
    assert errors["prior with offset"] < errors["prior"] < errors["no prior"]
    assert taught["reference_energies_eV"] == alone["reference_energies_eV"]


def test_embedding_corrects_wrong_free_atom_energies_as_the_offset_does(
    fit: Fit, structures: list[Atoms], tmp_path: Path
) -> None:
    fit("teacher", labelled(structures[:70], bulk=1.0), n_functions=60)
    taught = fit("taught", labelled(structures[:30]), "teacher", n_functions=15)
    log = (tmp_path / "taught" / "log.txt").read_text()
    offset = float(log.split("minus those by the teacher (eV): {'Cu': ")[1].split("}")[0])
    assert offset == pytest.approx(-1.0, abs=0.3)
    errors = {
        name: candidate["validation_energy_rms"] * candidate["validation_force_rms"]
        for name, candidate in taught["teacher"]["candidates"].items()
    }
    assert set(errors) == {"no prior", "prior", "prior with offset"}
    # The embedding, whose coefficient is little penalised, corrects the energies of crystals as well.
    assert errors["prior with offset"] < 1.1 * errors["prior"]


def test_a_nonlinear_teacher_is_refused(fit: Fit, structures: list[Atoms], tmp_path: Path) -> None:
    fit("teacher", labelled(structures[:30]))
    path = tmp_path / "teacher" / "potential.yaml"
    path.write_text(re.sub(r"(c: \[[^,]+, )0\]", r"\g<1>0.5]", path.read_text()))
    failure = fit("taught", labelled(structures[:30]), "teacher")
    assert failure["kind"] == "bad_input"
    assert "is not linear" in failure["message"] and "the linear engine" in failure["message"]


def test_potential_of_a_poor_teacher_is_not_used_as_prior(fit: Fit, structures: list[Atoms], tmp_path: Path) -> None:
    fit("teacher", labelled(structures[:40]), n_functions=6, order=1)
    frames = labelled(structures[:40])
    fit("alone", frames)
    taught = fit("taught", frames, "teacher")
    assert taught["teacher"]["use"] == "exploration only"
    potentials = [(tmp_path / name / "potential.yaml").read_bytes() for name in ("alone", "taught")]
    assert potentials[0] == potentials[1]


def test_without_free_atoms_the_teacher_gives_the_reference_energies(fit: Fit, structures: list[Atoms]) -> None:
    fit("teacher", labelled(structures[:70], offset=-7.0))
    few = [atoms for atoms in labelled(structures[:14]) if len(atoms) > 1]
    taught = fit("taught", few, "teacher", n_functions=12)
    assert taught["teacher"]["use"] == "exploration and prior"
    assert taught["reference_energies_source"] == "least_squares"
    # Effective medium theory gives 3.51 eV for a free atom.
    assert taught["reference_energies_eV"]["Cu"] == pytest.approx(3.51, abs=0.1)


def test_a_teacher_of_other_elements_is_refused(fit: Fit, structures: list[Atoms], tmp_path: Path) -> None:
    fit("teacher", labelled(structures[:30]))
    path = tmp_path / "teacher" / "potential.yaml"
    path.write_text(path.read_text().replace("Cu", "Au"))
    failure = fit("taught", labelled(structures[:30]), "teacher")
    assert failure["kind"] == "bad_input"
    assert "has the elements Au, not Cu" in failure["message"]
