"""Fits whose functions are chosen on a sample of the structures."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from mlip_common.deadline import Deadline
from mlip_train.basis import Basis
from mlip_train.checkpoint import CHECKPOINTS, FULL_FACTORS
from mlip_train.data import Frame, ReferenceEnergies
from mlip_train.linear import fit_linear
from mlip_train.sample import sample_of
from mlip_train.settings import FitSettings
from pyace import ACEBBasisSet, PyACECalculator

from .test_rows import basis_of

ATOMS = 32


@pytest.fixture(scope="module")
def many() -> list[Frame]:
    """More structures than a sample has, with some duplicates: vibrations of two volumes, labelled by an ACE potential."""
    truth = basis_of(["Cu"], 8)
    calculator = PyACECalculator(
        ACEBBasisSet(truth.reduced(range(truth.n_functions), 0.1 * np.ones(truth.n_functions)))
    )
    crystal, random = bulk("Cu", cubic=True) * (2, 2, 2), np.random.default_rng(7)
    assert len(crystal) == ATOMS
    frames = []
    for number in range(72):
        family = "dense" if number % 4 == 0 else "wide"
        atoms = crystal.copy()
        atoms.set_cell(atoms.cell * (0.97 if family == "dense" else 1.02), scale_atoms=True)
        atoms.positions += random.normal(0.0, 0.08, atoms.positions.shape)
        atoms.calc = calculator
        energy, forces = atoms.get_potential_energy(), atoms.get_forces()
        atoms.calc = None
        frames.append(Frame(atoms, energy, forces, None, "train", number, family))
    duplicates = [
        Frame(frame.atoms, frame.energy, frame.forces, None, "train", frame.group, frame.family, is_first=False)
        for frame in frames[:10]
    ]
    return [*frames, *duplicates]


def test_a_sample_has_the_same_shares_of_kinds_and_whole_groups(many: list[Frame]) -> None:
    sample = sample_of(many, 960)
    assert sum(len(frame.atoms) for frame in sample if frame.is_first) == pytest.approx(960, abs=ATOMS)
    shares = Counter(frame.family for frame in sample if frame.is_first)
    assert shares["dense"] / shares.total() == pytest.approx(0.25, abs=0.03)
    groups = {frame.group for frame in sample}
    assert len(sample) == sum(frame.group in groups for frame in many)
    assert sample == sample_of(many, 960)


def test_few_structures_are_their_own_sample(many: list[Frame]) -> None:
    assert sample_of(many[:20], 960) == many[:20]


def test_functions_of_a_sample_are_fitted_to_all_structures(
    many: list[Frame], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    candidates, settings = basis_of(["Cu"], 30), FitSettings({"elements": ["Cu"]}, core_repulsion=False)
    reference = ReferenceEnergies({"Cu": 0.0}, "input")
    solution = fit_linear(settings, candidates, many, reference, 12, 1, Deadline(), 960)
    assert "functions and weights are chosen on a sample of" in capsys.readouterr().out
    chosen = [solution.basis.functions[index] for index in solution.selection.functions]
    assert set(chosen) <= set(candidates.functions) and len(chosen) <= 12
    assert sum(fold.n_energies for fold in solution.problem.factors) == len(many) - 10
    fitted = Basis({}, solution.configuration())
    assert set(chosen) <= set(fitted.functions)
    assert solution.choice.force_error < 0.1 * np.std(np.concatenate([frame.forces for frame in many]))
    assert (tmp_path / FULL_FACTORS).is_dir() and FULL_FACTORS in CHECKPOINTS
