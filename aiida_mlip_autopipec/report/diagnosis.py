"""Diagnosis: the most likely cause of the errors, and one advice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .advice import CUTOFF_DISTANCES, Advice
from .errors import Errors, Level, error_statistics, percent, three_digits
from .model import Subject

OVERFITTING_RATIO = 2.0
"""Ratio of test to training errors above which a fit is overfitted."""

MIN_TRAIN_STRUCTURES = 50
"""Number of training structures below which more structures nearly always help."""

MIN_LABELS_PER_FUNCTION = 5.0
"""Number of labels (energies and force components) per function below which the data do not determine the functions."""

MIN_CUTOFF_RATIO = 1.8
"""Ratio of cutoff to nearest-neighbour distance below which the cutoff is short: at most three shells of fcc or bcc."""

MIN_MISSED_ENERGY = 5.0
"""Interaction energy beyond the cutoff (meV/atom) above which it is reported."""

FALLING_RATIO = 0.85
"""A learning curve still falls if its last error is below this fraction of the error before."""

DISTANCE_TOLERANCE = 0.005
"""A distance is shorter than those of the training set if it is shorter by more than this (Å)."""

NOISE_RATIO = 0.5
"""Ratio of the differences between the labels of equal structures to the error, above which they explain the error."""


@dataclass(frozen=True)
class Finding:
    """A finding on a potential: its level, a text with numbers, and advice."""

    level: Level
    text: str
    advice: str = ""


@dataclass(frozen=True)
class TrainTestErrors:
    """Errors on the training structures, and on the test structures that equal no training structure.

    :ivar without_dimers: errors on the training structures except generated dimers, whose energies are far above all others.
    """

    train: Errors | None
    test: Errors | None
    without_dimers: Errors | None

    @classmethod
    def of(cls, subject: Subject) -> TrainTestErrors:
        """Return the errors of a potential."""
        structures = subject.structures
        dimers = np.array([name == "dimer" for name in structures.kind_names])[structures.kinds]
        return cls(
            error_statistics(structures, ~structures.is_test),
            error_statistics(structures, structures.is_unseen),
            error_statistics(structures, ~structures.is_test & ~dimers),
        )

    @property
    def level(self) -> Level:
        """Level of the test errors, at least `look` with very large training errors; without test, of the training errors."""
        errors = self.test or self.train
        if errors is None:
            return "look"
        return "look" if errors.level == "good" and self.only_train_is_large else errors.level

    @property
    def only_train_is_large(self) -> bool:
        """Whether training errors are much too large, although the test errors are small."""
        test, train = self.test, self.without_dimers
        return test is not None and train is not None and test.level == "good" and train.is_much_too_large


def data_warnings(subject: Subject) -> list[str]:
    """Return the warnings of the curation about implausible data."""
    return [
        f"{doubt['message']}. Likely cause: {doubt['cause']}" for doubt in subject.curation.get("plausibility") or []
    ]


def diagnose(subject: Subject) -> Finding | None:
    """Return the first cause that applies, or None; its level is `bad` if that of the errors is, else `look`.

    There is no diagnosis with implausible data, since they may be the cause of everything else.
    """
    sides = TrainTestErrors.of(subject)
    if sides.train is None or data_warnings(subject):
        return None
    level: Level = "bad" if sides.level == "bad" else "look"
    advice = Advice(subject)
    for reason in (_label_noise, _outliers, _short_cutoff, _extrapolation, _overfitting, _underfitting, _few_data):
        if (found := reason(subject, sides, advice)) is not None:
            return Finding(level, *found)
    return None


Reason = tuple[str, str]
"""Text of a finding, and advice."""


def contradictions(subject: Subject) -> np.ndarray:
    """Return the energy differences (meV/atom) of equal structures with contradicting labels."""
    listed = subject.curation.get("contradictions") or []
    return np.array([1000.0 * abs(float(pair["energy_difference_eV_per_atom"])) for pair in listed])


def force_contradictions(subject: Subject, key: str = "largest") -> np.ndarray:
    """Return the differences (eV/Å), `largest` or `rms`, between the forces of equal structures that contradict each other."""
    listed = subject.curation.get("force_contradictions") or []
    return np.array([float(pair[f"{key}_force_difference_eV_per_A"]) for pair in listed])


def _label_noise(subject: Subject, sides: TrainTestErrors, advice: Advice) -> Reason | None:
    errors = sides.test or sides.train
    if errors is None:
        return None
    compared = (
        ("energies", "energy", "meV/atom", contradictions(subject), errors.energy_level, errors.energy_rmse),
        ("forces", "force", "eV/Å", force_contradictions(subject, "rms"), errors.force_level, errors.force_rmse),
    )
    for labels, label, unit, differences, level, error in compared:
        if level == "good" or not differences.size:
            continue
        usual = float(np.sqrt(np.mean(differences**2)))
        if usual >= NOISE_RATIO * error:
            return (
                f"Label noise: the {labels} of equal structures (pairs: {differences.size}) differ by "
                f"{three_digits(usual)} {unit} (RMS); "
                f"{'an' if label == 'energy' else 'a'} {label} RMSE of {three_digits(error)} {unit} cannot be much smaller.",
                "Check that all labels are from one method with the same settings, and that they are converged.",
            )
    return None


def _outliers(subject: Subject, sides: TrainTestErrors, advice: Advice) -> Reason | None:
    if not sides.only_train_is_large:
        return None
    structures = subject.structures
    train = np.flatnonzero(~structures.is_test)
    energies, forces = np.abs(structures.energy_error[train]), structures.force_rmse[train]
    by_energy = sides.without_dimers is not None and sides.without_dimers.energy_level == "bad"
    worst = int(np.argmax(energies if by_energy else forces))
    size = f"{three_digits(energies[worst])} meV/atom" if by_energy else f"{three_digits(forces[worst])} eV/Å"
    index = int(train[worst])
    where = structures.locations[index] or structures.formula_names[structures.formula[index]]
    return (
        f"Training structures that do not fit: the training errors, {sides.without_dimers}, are large, although the test "
        f"errors are small. The largest one is {size} ({where}).",
        "Check the labels of the structures with the largest errors, which the report lists; correct or leave them out.",
    )


def missed_energy(subject: Subject) -> tuple[int, float]:
    """Return the number of structures with all distances beyond the cutoff, and their largest energy (meV/atom)."""
    structures = subject.structures
    apart = (structures.n_atoms > 1) & ~(structures.shortest < subject.metrics["cutoff_A"])
    if not apart.any():
        return 0, 0.0
    return int(apart.sum()), 1000.0 * float(np.abs(structures.energy_reference[apart]).max())


def _short_cutoff(subject: Subject, sides: TrainTestErrors, advice: Advice) -> Reason | None:
    cutoff, nearest = subject.metrics["cutoff_A"], subject.coverage.median_nearest
    assert sides.train is not None
    if nearest is None or cutoff >= MIN_CUTOFF_RATIO * nearest or "good" in (sides.level, sides.train.level):
        return None
    count, energy = missed_energy(subject)
    missed = f" {beyond_cutoff(count, cutoff, energy)}" if energy > MIN_MISSED_ENERGY else ""
    return (
        f"The cutoff is short: {cutoff:g} Å is {cutoff / nearest:.2g} times the median nearest-neighbour distance "
        f"({nearest:.3g} Å); {CUTOFF_DISTANCES:g} times is usual.{missed}",
        advice.longer_cutoff(nearest),
    )


def beyond_cutoff(count: int, cutoff: float, energy: float) -> str:
    """Return the sentence on structures with all distances beyond the cutoff."""
    return (
        f"In {count} structure{'s' * (count != 1)} all atoms are farther apart than the cutoff of {cutoff:g} Å, where the "
        "potential is zero; "
        f"the reference energy there is up to {three_digits(energy)} meV/atom."
    )


def shorter_than_trained(subject: Subject) -> np.ndarray:
    """Return the mask of the test structures with a distance shorter than any of that pair of elements in training."""
    structures = subject.structures
    found = np.zeros(len(structures), dtype=bool)
    for distances in subject.coverage.shortest.values():
        found |= distances < distances[~structures.is_test].min(initial=np.inf) - DISTANCE_TOLERANCE
    return found & structures.is_unseen


def _extrapolation(subject: Subject, sides: TrainTestErrors, advice: Advice) -> Reason | None:
    """Return the finding that only test structures with shorter distances than in training make the errors large."""
    structures, shorter = subject.structures, shorter_than_trained(subject)
    others = error_statistics(structures, structures.is_unseen & ~shorter)
    if sides.test is None or not shorter.any() or others is None or _rank(others.level) >= _rank(sides.test.level):
        return None
    return (
        f"Extrapolation: in {int(shorter.sum())} of {sides.test.n_structures} test structures two atoms are closer than in any "
        f"training structure. Without these the test errors are {others}.",
        advice.more_structures("with distances as short as in these"),
    )


def _rank(level: Level) -> int:
    return {"good": 0, "note": 0, "look": 1, "bad": 2}[level]


def labels_per_function(subject: Subject) -> float:
    """Return the number of energies and force components of the training structures per function."""
    structures = subject.structures
    train = ~structures.is_test
    labels = int(train.sum()) + 3 * int(structures.n_atoms[train].sum())
    return float(labels / subject.metrics["n_functions"])


def _overfitting(subject: Subject, sides: TrainTestErrors, advice: Advice) -> Reason | None:
    train, test = sides.train, sides.test
    if train is None or test is None:
        return None
    ratios = {
        "energies": (test.energy_level, test.energy_rmse / max(train.energy_rmse, 1e-3)),
        "forces": (test.force_level, test.force_rmse / max(train.force_rmse, 1e-4)),
    }
    counted = [ratio for level, ratio in ratios.values() if level != "good"]
    if not counted or max(counted) <= OVERFITTING_RATIO:
        return None
    each = labels_per_function(subject)
    by_quantity = ", ".join(f"{name} {ratio:.2g} times" for name, (_, ratio) in ratios.items())
    too_many = each < MIN_LABELS_PER_FUNCTION and advice.is_given("n_functions")
    return (
        f"Overfitting: test errors are {max(counted):.2g} times the training errors ({by_quantity}), with "
        f"{train.n_structures} training structures and {each:.2g} energies and force components for each of the "
        f"{subject.metrics['n_functions']} functions.",
        advice.fewer_functions() if too_many else advice.more_structures(),
    )


def learning_points(subject: Subject, name: str) -> list[dict[str, Any]]:
    """Return the learning curve `by_structures` or `by_functions`; empty if it has fewer than two points."""
    points = list((subject.metrics.get("learning_curve") or {}).get(name) or [])
    return points if len(points) > 1 else []


def still_falls(points: list[dict[str, Any]]) -> bool:
    """Return whether the force error in cross-validation still falls at the end of a learning curve."""
    return bool(points) and _ratios(points)["forces"] < FALLING_RATIO


def _ratios(points: list[dict[str, Any]]) -> dict[str, float]:
    """Return the last errors of a learning curve relative to those before, by quantity."""
    if len(points) < 2:
        return {}
    before, last = points[-2:]
    keys = {"energies": "energy_rms", "forces": "force_rms"}
    return {name: last[key] / max(before[key], 1e-12) for name, key in keys.items() if before.get(key) is not None}


def last_change(points: list[dict[str, Any]]) -> str:
    """Return how the errors changed in the last step of a learning curve: `fell to 69 % for energies, to 92 % for forces`."""
    ratios = _ratios(points)
    if all(ratio < 1.0 for ratio in ratios.values()):
        return f"fell to {', to '.join(f'{percent(ratio)} for {name}' for name, ratio in ratios.items())}"
    return f"changed to {', to '.join(f'{percent(ratio)} for {name}' for name, ratio in ratios.items())}"


def _underfitting(subject: Subject, sides: TrainTestErrors, advice: Advice) -> Reason | None:
    train = sides.train
    curve = learning_points(subject, "by_functions")
    if train is None or sides.level == "good":
        return None
    if train.level == "good" and not still_falls(curve):
        return None
    if train.level != "bad" and still_falls(learning_points(subject, "by_structures")):
        # More structures lower the errors, so the cause is few data.
        return None
    training = f"training errors are {train}"
    if not curve:
        return f"Underfitting: {training}.", advice.more_functions()
    if still_falls(curve):
        return (
            f"Underfitting: {training}, and with the last step to more functions the error in cross-validation "
            f"{last_change(curve)}.",
            advice.more_functions(),
        )
    return (
        f"Label noise or underfitting: {training}, and with the last step to more functions the error in cross-validation only "
        f"{last_change(curve)}.",
        "Check first that the labels are converged and all from one method.",
    )


def _few_data(subject: Subject, sides: TrainTestErrors, advice: Advice) -> Reason | None:
    curve, each = learning_points(subject, "by_structures"), labels_per_function(subject)
    count = 0 if sides.train is None else sides.train.n_structures
    if still_falls(curve):
        before, last = curve[-2:]
        return (
            f"Few data: from {before['n_structures']:.0f} to {last['n_structures']:.0f} training structures the error in "
            f"cross-validation {last_change(curve)}, so more structures will probably lower it further.",
            advice.more_structures(),
        )
    if count < MIN_TRAIN_STRUCTURES or each < MIN_LABELS_PER_FUNCTION:
        return (
            f"Few data: {count} training structures, with {each:.2g} energies and force components for each of the "
            f"{subject.metrics['n_functions']} functions.",
            advice.more_structures(),
        )
    return None
