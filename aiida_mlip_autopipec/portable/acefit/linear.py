"""The linear engine: coefficients by least squares with a smoothness prior, functions and hyperparameters by cross-validation.

Drautz, Phys. Rev. B 99, 014104 (2019), for the basis.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from acecommon.deadline import Deadline
from acecommon.errors import ExplainedError, log

from .basis import Basis, complexity_of
from .choices import (
    RIDGES,
    USUAL_WEIGHTS,
    Choice,
    Selection,
    best_ridge,
    select_and_choose,
)
from .data import Frame, ReferenceEnergies, assign_folds
from .design import accumulate
from .problem import Problem, Ridge, Weights
from .rows import RowBuilder
from .settings import Settings

PRIOR_EXPONENT = 2.0
"""Power of its complexity by which a function is held back."""

SAMPLE_ATOMS = 64
"""Number of atoms on which the time of a fit is estimated."""

EXPECTED_OVER_ROWS = 1.5
"""Time of a whole fit over that of the rows of its design matrix."""


@dataclass(frozen=True)
class Solution:
    """The linear fit of a basis to all folds of the training data."""

    basis: Basis
    problem: Problem
    selection: Selection
    choice: Choice

    def functions(self, *, all_pairs: bool = False) -> np.ndarray:
        """Return those that were chosen, with all of one neighbour after them if asked."""
        chosen = self.selection.functions
        pairs = [index for index, key in enumerate(self.basis.functions) if all_pairs and len(key[2]) == 1]
        return np.concatenate([chosen, np.setdiff1d(np.array(pairs, dtype=int), chosen)])

    def configuration(self, without: int | None = None, *, all_pairs: bool = False) -> Any:
        """Return the configuration of the potential.

        :param without: a fold that is left out of the fit.
        :param all_pairs: with all functions of one neighbour, those that were not chosen with coefficients of zero.
        """
        problem, functions = self.problem, self.selection.functions
        folds = range(len(problem.factors)) if without is None else problem.others(without)
        rows = problem.stack(self.choice.weights, folds, functions)
        coefficients = Ridge.of_rows(rows, problem.penalty[functions]).solve(self.choice.ridge)
        if not np.isfinite(coefficients).all():
            raise ExplainedError("diverged", "the solution of the linear fit is not finite")
        functions = self.functions(all_pairs=all_pairs)
        return self.basis.reduced(functions, np.pad(coefficients, (0, len(functions) - len(coefficients))))

    def report(self) -> dict[str, Any]:
        """Return what was chosen and why."""
        how = (
            f"{len(self.problem.factors)}-fold cross-validation by groups of equal structures: the smallest product of "
        )
        return {
            "energy_weight": self.choice.weights.energy,
            "virial_weight": self.choice.weights.virial,
            "force_weight": self.problem.force_weight,
            "ridge": self.choice.ridge,
            "chosen_by": how + "the errors of energies and of forces",
            "validation_energy_rms": _known(self.choice.energy_error),
            "validation_force_rms": _known(self.choice.force_error),
        }


def _known(error: float) -> float | None:
    """Return an error, or None if there was too little to validate on."""
    return error if np.isfinite(error) else None


def fit_linear(
    settings: Settings,
    basis: Basis,
    training: Sequence[Frame],
    reference: ReferenceEnergies,
    most: int,
    workers: int,
    deadline: Deadline,
) -> Solution:
    """Solve for the coefficients of the best functions of a basis.

    :param most: how many functions the potential may have.
    :raises ExplainedError: if the deadline comes.
    """
    log(f"linear fit: a pool of {basis.n_functions} functions, cutoff {basis.cutoff:g} Å, {workers} processes")
    factors = accumulate(basis, training, assign_folds(training), reference, workers, deadline)
    problem = Problem(factors, _penalty(basis), settings.force_weight)
    begun = time.monotonic()
    selection, choice = select_and_choose(settings, problem, most, workers)
    log(
        f"chosen by {len(factors)}-fold cross-validation in {time.monotonic() - begun:.0f} s: {len(selection.functions)} "
        f"functions, weights {choice.weights}, ridge {choice.ridge:g}"
    )
    return Solution(basis, problem, selection, choice)


def affordable(basis: Basis, training: Sequence[Frame], workers: int, seconds: float) -> int:
    """Return the number of functions an element, at most that of the basis, whose fit should be done in some seconds."""
    builder, atoms = RowBuilder(basis), 0
    begun = time.monotonic()
    for frame in sorted(training, key=lambda frame: len(frame.atoms)):
        if len(frame.atoms) > 1 or frame.atoms.pbc.any():
            builder.rows(frame.atoms, strain=frame.virial is not None)
            atoms += len(frame.atoms)
        if atoms >= SAMPLE_ATOMS:
            break
    each = (time.monotonic() - begun) / max(1, atoms)
    total = sum(len(frame.atoms) for frame in training if frame.first)
    expected = EXPECTED_OVER_ROWS * each * total / workers
    fewer = basis.n_functions * min(1.0, max(seconds, 0.05) / expected)
    return max(5, int(fewer / len(basis.index_of_element)))


def trial_error(
    basis: Basis, frames: Sequence[Frame], reference: ReferenceEnergies, workers: int, deadline: Deadline
) -> float:
    """Return the validation error of a basis on some structures, with the usual weights and the best ridge strength."""
    factors = accumulate(basis, frames, assign_folds(frames), reference, workers, deadline, trial=True)
    problem = Problem(factors, _penalty(basis), 1.0)
    return best_ridge(problem, Selection.everything(problem), Weights(*USUAL_WEIGHTS), RIDGES, workers).error


def _penalty(basis: Basis) -> np.ndarray:
    complexity = np.array([complexity_of(key) for key in basis.functions])
    return np.asarray((complexity / complexity.min()) ** PRIOR_EXPONENT)
