"""Is the potential any good, where is it bad, and why: rules of thumb, each with the numbers it rests on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from .model import Structures, Subject

Level = Literal["bad", "look", "good"]

ENERGY_LIMITS = (10.0, 30.0)
"""Root mean square errors of energies (meV/atom) below which a potential is good, and above which it is bad."""

FORCE_LIMITS = (0.10, 0.25)
"""The same for forces, as parts of a usual force."""

LEAST_FORCE = 0.3
"""Forces (eV/Å) below which errors are not measured against them: near equilibrium all forces are small."""

MEMORISED = 2.0
"""Errors on test over those on train from which on the fit has learnt by heart."""

FEWEST_TO_TEST, FEWEST_TO_TRAIN, FEWEST_OF_A_KIND = 10, 50, 3
"""Numbers of structures below which errors say little."""

SHELLS = 1.8
"""Cutoffs below this many distances of nearest neighbours see the first shell only."""

LOST_ENERGY = 5.0
"""Energy (meV/atom) from which on atoms beyond the cutoff of each other are said to miss an interaction."""

HELPS = 0.85
"""More of something helps if the error with all of it is below this part of that with a half."""

MOST_NAMED = 5
"""Number of kinds that one finding names."""

NOTHING = 1e-9
"""Numbers below this are rounding errors."""

FEWEST_LABELS = 5.0
"""Labels for each function below which a fit is not determined by its data."""


@dataclass(frozen=True)
class Finding:
    """Something to know about a potential: what was measured, what it means, what to do."""

    level: Level
    text: str
    advice: str = ""


@dataclass(frozen=True)
class Errors:
    """Errors on some structures: energies in meV/atom, forces in eV/Å; `force_scale` is the size of the forces themselves."""

    n_structures: int
    energy_mae: float
    energy_rmse: float
    force_mae: float
    force_rmse: float
    force_scale: float

    @property
    def relative_force(self) -> float:
        """The error of forces over their size."""
        return self.force_rmse / max(self.force_scale, LEAST_FORCE)

    @property
    def badness(self) -> float:
        """The larger of the errors in units of where they begin to be bad."""
        return max(self.energy_rmse / ENERGY_LIMITS[1], self.relative_force / FORCE_LIMITS[1])

    @property
    def level(self) -> Level:
        """How bad these errors are."""
        measured = ((self.energy_rmse, ENERGY_LIMITS), (self.relative_force, FORCE_LIMITS))
        if any(error > limits[1] for error, limits in measured):
            return "bad"
        return "good" if all(error <= limits[0] for error, limits in measured) else "look"

    def __str__(self) -> str:
        """Return the errors in words."""
        relative = f"{self.relative_force:.0%} of a usual force"
        return f"{three(self.energy_rmse)} meV/atom and {three(self.force_rmse)} eV/Å ({relative})"


def three(value: float) -> str:
    """Return a number with three digits, for people: never as a power of ten if it is large, and rounding errors as zero."""
    if abs(value) < NOTHING:
        return "0"
    return (f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}").replace("-", "−")


def errors_of(structures: Structures, chosen: np.ndarray) -> Errors | None:
    """Return the errors on the structures chosen by a mask; None if there are none."""
    if not chosen.any():
        return None
    atoms = chosen[structures.atoms]
    reference, predicted = (part[atoms] for part in structures.forces)
    energy, force = structures.energy_error[chosen], predicted - reference
    return Errors(
        int(chosen.sum()),
        float(np.abs(energy).mean()),
        _rms(energy),
        float(np.abs(force).mean()),
        _rms(force),
        _typical(reference),
    )


def _typical(forces: np.ndarray) -> float:
    """Return the size of a component of the usual force: the median, since a few violent structures outweigh a mean."""
    sizes = np.linalg.norm(forces, axis=1)
    sizes = sizes[sizes > 1e-3]
    return float(np.median(sizes)) / 3**0.5 if sizes.size else 0.0


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def find(subject: Subject) -> list[Finding]:
    """Return all findings: that on the errors, then the others, the worst first."""
    rules = (_errors, _validation, _generalisation, _cutoff, _learning, _kinds, _data, _coverage)
    found = [finding for rule in rules for finding in rule(subject)]
    order: list[Level] = ["bad", "look", "good"]
    # The errors themselves come first, whatever they are; then the reasons.
    return [found[0], *sorted(found[1:], key=lambda finding: order.index(finding.level))]


def verdict(findings: list[Finding]) -> tuple[Level, str]:
    """Return the worst level, and what it means in words."""
    levels = [finding.level for finding in findings]
    if "bad" in levels:
        return "bad", f"Not good enough: {_reasons(levels.count('bad'))} below."
    if "look" not in levels:
        return "good", "Good, as far as these numbers tell."
    usable = "Good on what it never saw" if levels[0] == "good" else "Usable, with care"
    return "look", f"{usable}; {_reasons(levels.count('look'))} to look closer."


def _reasons(count: int) -> str:
    return f"{count} reason{'s' if count > 1 else ''}"


def _sides(subject: Subject) -> tuple[Errors | None, Errors | None]:
    structures = subject.structures
    return errors_of(structures, ~structures.is_test), errors_of(structures, structures.is_test)


def _errors(subject: Subject) -> Iterator[Finding]:
    train, test = _sides(subject)
    if test is None:
        yield Finding(
            "look",
            f"No structure was kept to test on; on those it was fitted to the errors are {train}, which says little.",
            "Set training.test_fraction above 0.",
        )
        return
    advice = "" if test.level == "good" else "The findings below say why, and the error plots where."
    yield Finding(test.level, f"On {test.n_structures} structures that it never saw the errors are {test}.", advice)
    if test.n_structures < FEWEST_TO_TEST:
        yield Finding("look", f"Only {test.n_structures} structures to test on: these errors are uncertain themselves.")


def _generalisation(subject: Subject) -> Iterator[Finding]:
    train, test = _sides(subject)
    if train is None or test is None:
        return
    ratios = test.energy_rmse / max(train.energy_rmse, 1e-3), test.force_rmse / max(train.force_rmse, 1e-4)
    if max(ratios) > MEMORISED and test.level != "good":
        yield Finding(
            "bad",
            f"It knows by heart what it was fitted to: on the test structures the errors are {ratios[0]:.2g} times as large "
            f"for energies and {ratios[1]:.2g} times for forces ({train.n_structures} structures, "
            f"{subject.metrics['n_functions']} functions).",
            "Give it more structures of these kinds (generator.count), or fewer functions (training.n_functions).",
        )
    elif train.level == "bad":
        yield Finding(
            "bad",
            f"It cannot even describe what it was fitted to: errors on train of {train}. More structures will not help.",
            "The form is too poor (a longer training.cutoff, more training.n_functions, a higher order), "
            "or the labels contradict each other.",
        )


def _cutoff(subject: Subject) -> Iterator[Finding]:
    cutoff, usual, structures = subject.metrics["cutoff_A"], subject.coverage.usual, subject.structures
    if usual is not None and cutoff < SHELLS * usual:
        yield Finding(
            "bad",
            f"The cutoff is short: {cutoff:g} Å is {cutoff / usual:.2g} times the usual distance of neighbours "
            f"({usual:.3g} Å), so an atom sees little more than its first shell.",
            "Leave training.cutoff at auto, or set it to 2.5 times that distance.",
        )
    apart = (structures.n_atoms > 1) & ~(structures.shortest < cutoff)
    if apart.any():
        lost = 1000.0 * float(np.abs(structures.energy_reference[apart]).max())
        if lost > LOST_ENERGY:
            yield Finding(
                "bad" if lost > ENERGY_LIMITS[1] else "look",
                f"In {int(apart.sum())} structures all atoms are farther apart than the cutoff of {cutoff:g} Å, where the "
                f"potential gives nothing; the oracle gives up to {three(lost)} meV/atom.",
                "A longer training.cutoff.",
            )


def _learning(subject: Subject) -> Iterator[Finding]:
    curves = subject.metrics.get("learning_curve") or {}
    by_structures, by_functions = curves.get("by_structures", []), curves.get("by_functions", [])
    train = _sides(subject)[0]
    if train is None:
        return
    structures = subject.structures
    atoms = int(structures.n_atoms[~structures.is_test].sum())
    each = (train.n_structures + 3 * atoms) / subject.metrics["n_functions"]
    if train.level == "bad":
        # What cannot be described will not be by more of it.
        by_structures = []
    if each < FEWEST_LABELS:
        by_functions = []
    for points, key, advice in (
        (by_structures, "n_structures", "More structures (generator.count)."),
        (by_functions, "n_functions", "More functions (training.n_functions, training.max_functions)."),
    ):
        if len(points) < 2:
            continue
        before, last = points[-2], points[-1]
        ratio = last["force_rms"] / before["force_rms"]
        what = key.removeprefix("n_")
        if ratio < HELPS:
            yield Finding(
                "look",
                f"The error still falls with more {what}: from {before[key]:.0f} to {last[key]:.0f} of them, that of forces "
                f"in cross-validation fell to {ratio:.0%}.",
                advice,
            )
    if train.n_structures < FEWEST_TO_TRAIN or each < FEWEST_LABELS:
        yield Finding(
            "bad" if each < FEWEST_LABELS else "look",
            f"Few structures: {train.n_structures} to train on, with {each:.2g} numbers (energies and force components) "
            f"for each of the {subject.metrics['n_functions']} functions.",
            "More structures (generator.count), or fewer functions.",
        )


def _kinds(subject: Subject) -> Iterator[Finding]:
    structures = subject.structures
    of_kind = {
        name: errors
        for number, name in enumerate(structures.kind_names)
        if (errors := errors_of(structures, structures.kinds == number)) is not None and errors.level != "good"
    }
    worst = sorted(of_kind, key=lambda name: -of_kind[name].badness)
    if worst:
        shown = [
            f"{name} ({three(of_kind[name].energy_rmse)} meV/atom, {of_kind[name].relative_force:.0%} of a usual force)"
            for name in worst[:MOST_NAMED]
        ]
        more = f" and {len(worst) - MOST_NAMED} kinds more" if len(worst) > MOST_NAMED else ""
        yield Finding(
            "look",
            f"Worse on some kinds of structure: {', '.join(shown)}{more}.",
            "If you need these: more of them (generator.weights).",
        )


def _data(subject: Subject) -> Iterator[Finding]:
    curation, oracle, metrics = subject.curation, subject.oracle, subject.metrics
    if oracle.get("failed"):
        yield Finding(
            "look",
            f"The oracle could not label {len(oracle['failed'])} of {oracle['asked']} structures: see what was left out.",
        )
    if curation.get("contradicting_labels"):
        yield Finding(
            "bad",
            f"{curation['contradicting_labels']} equal structures have energies that contradict each other: the oracle is "
            "not converged, or not always the same.",
        )
    if metrics.get("test_overlap"):
        yield Finding(
            "bad",
            f"{metrics['test_overlap']} structures to test on are also among those to train on: the errors on test are too "
            "good to be true.",
        )
    if metrics.get("reference_energies_source") == "least_squares":
        yield Finding(
            "look",
            "There is no free atom of every element in the data: energies are counted from a least-squares fit, so those of "
            "atoms far apart mean nothing.",
        )


def _coverage(subject: Subject) -> Iterator[Finding]:
    structures = subject.structures
    of_kind = np.bincount(structures.kinds[~structures.is_test], minlength=len(structures.kind_names))
    # One free atom is all that is wanted.
    few = [
        name
        for name, count in zip(structures.kind_names, of_kind.tolist(), strict=True)
        if count < FEWEST_OF_A_KIND and name != "isolated_atom"
    ]
    if few:
        more = f" and {len(few) - MOST_NAMED} kinds more" if len(few) > MOST_NAMED else ""
        yield Finding(
            "look", f"Fewer than {FEWEST_OF_A_KIND} structures to train on of: {', '.join(few[:MOST_NAMED])}{more}."
        )


def _validation(subject: Subject) -> Iterator[Finding]:
    validation = subject.validation
    if validation is None:
        return
    failed = [check for check in validation.checks if not check["passed"]]
    if not failed:
        yield Finding("good", f"All {len(validation.checks)} checks of the validation passed.")
        return
    yield Finding(
        "bad",
        f"{len(failed)} of {len(validation.checks)} checks of the validation failed: "
        + "; ".join(_named(check) for check in failed[:5])
        + (" and more." if len(failed) > 5 else "."),
        "The table of the validation has all of them.",
    )


def _named(check: dict[str, Any]) -> str:
    where = f" of {check['structure']}" if check.get("structure") else ""
    if check.get("deviation") is None or check.get("limit") is None:
        return f"{check['quantity']}{where} ({check.get('reason') or 'no value'})"
    unit = f" {check['unit']}" if check.get("unit") else ""
    return f"{check['quantity']}{where} (off by {check['deviation']:.3g}{unit}, {check['limit']:.3g} allowed)"
