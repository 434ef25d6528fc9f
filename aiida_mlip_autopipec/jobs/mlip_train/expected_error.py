"""The expected error of a prediction from its extrapolation grades, calibrated on hold-out structures.

A linear potential with the same functions and weights is fitted without one fold. It predicts the structures of this fold;
their grades come from the active set of the other folds. (The nonlinear engine uses these linear potentials, too.) The
expected error is a power of the grade, with the exponent of the largest likelihood of normal errors, and the scale that
includes 68 % of the hold-out errors, as one standard deviation does.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from mlip_common.errors import log
from pyace import ACEBBasisSet, PyACECalculator

from .active_set import write_active_set
from .data import Frame, ReferenceEnergies, assign_folds
from .linear import Solution

EXPONENTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
"""Exponents of the grade that are compared."""

SMALLEST_GRADE = 0.05
"""Smaller grades are replaced by this value."""

MIN_STRUCTURES, ENOUGH_STRUCTURES = 8, 20
"""Number of hold-out structures below which there is no calibration, and number from which no further fold is needed."""

QUANTILE = 0.6827
"""Fraction of normal errors within one standard deviation."""


@dataclass(frozen=True)
class Calibration:
    """The expected error `scale * grade ** exponent` of an energy (eV/atom) or a force component (eV/Å)."""

    scale: float
    exponent: float

    def expected(self, grades: np.ndarray) -> np.ndarray:
        """Return the expected errors for some grades."""
        return np.asarray(self.scale * np.maximum(grades, SMALLEST_GRADE) ** self.exponent)


@dataclass(frozen=True)
class GradedErrors:
    """Errors of predictions, and extrapolation grades, of n structures and their k atoms.

    :ivar energy_errors: (n,) eV/atom; `energy_grades`: root mean square grade of the atoms.
    :ivar force_errors: (k,) root mean square over the components of an atom, eV/Å; `force_grades`: grade of the atom.
    """

    energy_errors: np.ndarray
    energy_grades: np.ndarray
    force_errors: np.ndarray
    force_grades: np.ndarray


def calibrate(errors: np.ndarray, grades: np.ndarray) -> Calibration:
    """Return the calibration for absolute errors and grades (n,)."""
    grades = np.maximum(grades, SMALLEST_GRADE)

    def negative_log_likelihood(exponent: float) -> float:
        scaled = errors / grades**exponent
        return float(np.log(np.sqrt(np.mean(scaled**2)) + np.finfo(float).tiny) + exponent * np.mean(np.log(grades)))

    exponent = min(EXPONENTS, key=negative_log_likelihood)
    return Calibration(float(np.quantile(errors / grades**exponent, QUANTILE)), exponent)


def coverage(errors: np.ndarray, expected: np.ndarray) -> dict[str, float]:
    """Return the fractions of errors within one and within two expected errors."""
    return {
        "within_1": float(np.mean(errors <= expected)),
        "within_2": float(np.mean(errors <= 2.0 * expected)),
    }


def errors_and_grades(calculator: Any, frames: Sequence[Frame], reference: ReferenceEnergies) -> GradedErrors:
    """Return errors and grades of a potential with its active set on some structures."""
    energies, mean_grades, forces, grades = [], [], [], []
    for frame in frames:
        atoms = frame.atoms.copy()
        atoms.calc = calculator
        energy = float(atoms.get_potential_energy()) + reference.of(frame.atoms) - frame.energy
        of_atoms = np.array(calculator.results["gamma"])
        energies.append(abs(energy) / len(atoms))
        mean_grades.append(float(np.sqrt(np.mean(of_atoms**2))))
        forces.append(np.sqrt(np.mean((atoms.get_forces() - frame.forces) ** 2, axis=1)))
        grades.append(of_atoms)
    return GradedErrors(np.array(energies), np.array(mean_grades), np.concatenate(forces), np.concatenate(grades))


def hold_out_errors(solution: Solution, training: Sequence[Frame], reference: ReferenceEnergies) -> GradedErrors | None:
    """Return errors and grades of the structures of hold-out folds, each predicted by a potential fitted to the other folds;
    None if there are too few.

    As many folds are used as are needed for enough structures: one in a large dataset.
    """
    folds = np.array(assign_folds(training))
    found: list[GradedErrors] = []
    for number, fold in enumerate(
        sorted({fold for fold, frame in zip(folds, training, strict=True) if frame.is_first})
    ):
        if len(solution.problem.factors) < 2 or sum(len(graded.energy_errors) for graded in found) >= ENOUGH_STRUCTURES:
            break
        hold_out = [frame for frame, of in zip(training, folds, strict=True) if of == fold and frame.is_first]
        others = [frame for frame, of in zip(training, folds, strict=True) if of != fold]
        found.append(_without_fold(solution, number, hold_out, others, reference))
    if sum(len(graded.energy_errors) for graded in found) < MIN_STRUCTURES:
        return None
    return GradedErrors(
        *(np.concatenate([getattr(graded, field.name) for graded in found]) for field in fields(GradedErrors))
    )


def _without_fold(
    solution: Solution, number: int, hold_out: Sequence[Frame], others: Sequence[Frame], reference: ReferenceEnergies
) -> GradedErrors:
    with tempfile.TemporaryDirectory() as name:
        yaml, active = Path(name) / "hold_out.yaml", Path(name) / "hold_out.asi"
        basis_set = ACEBBasisSet(solution.configuration(without=number))
        basis_set.save(str(yaml))
        write_active_set(basis_set, others, active, prior=solution.has_prior)
        return errors_and_grades(_with_active_set(yaml, active), hold_out, reference)


def expected_errors(
    held_out: GradedErrors | None, frames: Sequence[Frame], reference: ReferenceEnergies, yaml: Path, active: Path
) -> dict[str, Any] | None:
    """Return the calibration of the expected errors and its coverage on the test structures; None with too few structures.

    :param held_out: errors and grades of hold-out structures, None if there are too few.
    :param frames: all structures.
    :param yaml: the potential; `active`: its active set.
    """
    if held_out is None:
        return None
    energy = calibrate(held_out.energy_errors, held_out.energy_grades)
    forces = calibrate(held_out.force_errors, held_out.force_grades)
    found: dict[str, Any] = {
        "energy_eV_per_atom": asdict(energy),
        "force_eV_per_A": asdict(forces),
        "smallest_grade": SMALLEST_GRADE,
        "n_hold_out_structures": len(held_out.energy_errors),
        "test_coverage": None,
    }
    seen = {frame.group for frame in frames if frame.split == "train"}
    unseen = [frame for frame in frames if frame.split == "test" and frame.group not in seen]
    if unseen:
        tested = errors_and_grades(_with_active_set(yaml, active), unseen, reference)
        found["test_coverage"] = {
            "energy": coverage(tested.energy_errors, energy.expected(tested.energy_grades)),
            "force": coverage(tested.force_errors, forces.expected(tested.force_grades)),
            "n_structures": len(unseen),
        }
    log(f"expected errors calibrated on {len(held_out.energy_errors)} structures")
    return found


def _with_active_set(yaml: Path, active: Path) -> Any:
    calculator = PyACECalculator(str(yaml))
    calculator.set_active_set(str(active))
    return calculator
