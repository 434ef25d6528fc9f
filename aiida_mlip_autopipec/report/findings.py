"""Findings on the quality of a potential, by rules of thumb, each with its numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .advice import OWN_DATA, Advice
from .diagnosis import (
    MIN_MISSED_ENERGY,
    Finding,
    TrainTestErrors,
    beyond_cutoff,
    contradictions,
    data_warnings,
    diagnose,
    force_contradictions,
    missed_energy,
)
from .errors import Errors, Level, error_statistics, percent, three_digits
from .model import Subject, Validation

MIN_TEST_STRUCTURES = 10
"""Number of test structures below which their errors are uncertain."""

MAX_REJECTED = 0.2
"""Fraction of the user's own structures; if the curation rejected more, the verdict is not good. Duplicates do not count."""

MIN_OF_A_KIND = 3
"""Minimum number of structures of a kind for statistics of its errors."""

WORSE_THAN_AVERAGE = (1.2, 1.4)
"""A kind is named if its test error, relative to all test structures, exceeds this: for many and for few structures."""

MIN_COVERAGE, NORMAL_COVERAGE = 0.8, "68 % and 95 %"
"""Fraction of test errors within two expected errors below which these are too small, and the fractions of normal errors."""

MAX_NAMED = 5
"""Maximum number of kinds, checks or warnings that one finding names."""


def all_findings(subject: Subject) -> list[Finding]:
    """Return all findings: warnings about the data, errors, their cause, and then the others, the worst first."""
    diagnosis = diagnose(subject)
    first = [*_warnings(subject), *_errors(subject), *([diagnosis] if diagnosis is not None else [])]
    # Only one advice is given, so that advice on one kind does not compete with advice on all structures.
    has_advice = any(finding.advice for finding in first)
    others = [
        *_validation(subject),
        *_few_tests(subject),
        *_repeated_tests(subject),
        *_expected_errors(subject),
        *_missed_energy(subject, diagnosis),
        *_kinds(subject, has_advice),
        *_data(subject, diagnosis),
        *_coverage(subject),
        *_teacher(subject),
    ]
    order: list[Level] = ["bad", "look", "good", "note"]
    return [*first, *sorted(others, key=lambda finding: order.index(finding.level))]


def verdict(findings: list[Finding], errors: Level) -> tuple[Level, str]:
    """Return the worst level and the verdict as text.

    :param errors: level of the test errors, or of the training errors without test structures.
    """
    levels = [finding.level for finding in findings]
    if "bad" in levels:
        return "bad", f"Not good enough: {_counted(levels.count('bad'), 'reason')} below."
    if "look" not in levels:
        return "good", "Good: the errors are small."
    usable = "The errors are small" if errors == "good" else "Usable with care"
    return "look", f"{usable}; {_counted(levels.count('look'), 'point')} to check below."


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' if count > 1 else ''}"


def _counted_as(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _warnings(subject: Subject) -> Iterator[Finding]:
    warnings = data_warnings(subject)
    if warnings:
        more = f" And {len(warnings) - MAX_NAMED} more." if len(warnings) > MAX_NAMED else ""
        yield Finding(
            "bad" if TrainTestErrors.of(subject).level == "bad" else "look",
            f"Check the data first: {' '.join(_sentence(warning) for warning in warnings[:MAX_NAMED])}{more}",
            "Correct the labels or leave these structures out, then fit again.",
        )


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _errors(subject: Subject) -> Iterator[Finding]:
    sides = TrainTestErrors.of(subject)
    if sides.test is not None:
        yield Finding(sides.test.level, f"Test errors on {_structures(sides.test.n_structures)}: {sides.test}.")
        return
    repeated = int(subject.structures.repeats_train.sum())
    why = f"All {repeated} test structures equal training structures" if repeated else "There are no test structures"
    level: Level = "bad" if sides.level == "bad" else "look"
    yield Finding(
        level,
        f"{why}, so only training errors are known: {sides.train}. Errors on other structures may be larger.",
        Advice(subject).test_structures() if level != "bad" else "",
    )


def _structures(count: int) -> str:
    return f"{count} structure{'s' if count != 1 else ''}"


def _few_tests(subject: Subject) -> Iterator[Finding]:
    test = TrainTestErrors.of(subject).test
    if test is not None and test.n_structures < MIN_TEST_STRUCTURES:
        yield Finding(
            "look", f"There are only {_structures(test.n_structures)} in the test set: the test errors are uncertain."
        )


def _repeated_tests(subject: Subject) -> Iterator[Finding]:
    structures = subject.structures
    repeated, together = int(structures.repeats_train.sum()), error_statistics(structures, structures.is_test)
    if repeated and together is not None and structures.is_unseen.any():
        yield Finding(
            "note",
            f"{repeated} of {together.n_structures} test structures equal training structures and are not in the test errors "
            f"above. With them the errors are {together}.",
        )


def _expected_errors(subject: Subject) -> Iterator[Finding]:
    """Compare the fractions of test errors within two expected errors with that of normal errors."""
    covered = (subject.metrics.get("expected_error") or {}).get("test_coverage")
    if not covered:
        return
    parts = [
        f"{percent(covered[quantity]['within_1'])} of the {name} are within one and "
        f"{percent(covered[quantity]['within_2'])} within two expected errors"
        for quantity, name in (("energy", "energy errors"), ("force", "force errors of atoms"))
    ]
    too_small = covered["n_structures"] >= MIN_TEST_STRUCTURES and any(
        covered[quantity]["within_2"] < MIN_COVERAGE for quantity in ("energy", "force")
    )
    yield Finding(
        "look" if too_small else "note",
        "Expected errors (standard deviations estimated from the extrapolation grade), checked on "
        f"{_structures(covered['n_structures'])} of the test set: {'; '.join(parts)} "
        f"({NORMAL_COVERAGE} for normally distributed errors)."
        + (" The expected errors are too small: multiply them by two." if too_small else ""),
    )


def _missed_energy(subject: Subject, diagnosis: Finding | None) -> Iterator[Finding]:
    count, energy = missed_energy(subject)
    if energy > MIN_MISSED_ENERGY:
        text = beyond_cutoff(count, subject.metrics["cutoff_A"], energy)
        if diagnosis is None or text not in diagnosis.text:
            yield Finding("look", text)


def _kinds(subject: Subject, has_advice: bool) -> Iterator[Finding]:
    """Compare the test errors of each kind with those of all test structures, for energies and forces."""
    structures, average = subject.structures, TrainTestErrors.of(subject).test
    if average is None:
        return
    worse: dict[str, tuple[float, str]] = {}
    for number, name in enumerate(structures.kind_names):
        own = error_statistics(structures, structures.is_unseen & (structures.kinds == number))
        if own is not None and own.n_structures >= MIN_OF_A_KIND and (found := _above_average(own, average)):
            worse[name] = found
    if not worse:
        return
    names = sorted(worse, key=lambda name: -worse[name][0])
    named = "; ".join(f"{name} ({worse[name][1]})" for name in names[:MAX_NAMED])
    more = f"; and {len(names) - MAX_NAMED} more kinds" if len(names) > MAX_NAMED else ""
    yield Finding(
        "look",
        f"Test errors are larger than average for some kinds of structure: {named}{more}.",
        "" if has_advice else Advice(subject).more_of_kind(names[0]),
    )


def _above_average(own: Errors, average: Errors) -> tuple[float, str] | None:
    """Return the largest ratio of the errors of a kind to the average, and a text; None if they are small or not larger."""
    compared = (
        (own.energy_level, own.energy_rmse, average.energy_rmse, "meV/atom"),
        (own.force_level, own.force_rmse, average.force_rmse, "eV/Å"),
    )
    # An RMSE of n structures has a relative standard error of about 1 / sqrt(2n).
    limit = float(np.clip(1.0 + (2.0 * own.n_structures) ** -0.5, *WORSE_THAN_AVERAGE))
    found = [
        (error / usual, f"{three_digits(error)} {unit}, average {three_digits(usual)}")
        for level, error, usual, unit in compared
        if level != "good" and error > limit * usual
    ]
    if not found:
        return None
    return max(ratio for ratio, _ in found), f"{own.n_structures} tested: {', '.join(text for _, text in found)}"


def _data(subject: Subject, diagnosis: Finding | None) -> Iterator[Finding]:
    oracle = subject.oracle
    if oracle.get("failed"):
        yield Finding(
            "look",
            f"{len(oracle['failed'])} of {oracle['asked']} structures have failed labels: see the section on omitted "
            "structures.",
        )
    yield from _rejected(subject)
    if diagnosis is None or not diagnosis.text.startswith("Label noise:"):
        yield from _contradictions(subject)
    if subject.metrics.get("reference_energies_source") == "least_squares":
        yield Finding(
            "look",
            "Not every element has an isolated atom in the data, so the energies of free atoms are only fitted offsets: "
            "cohesive energies, and energies of atoms far apart, are meaningless. Add an isolated atom of each element "
            "to the data.",
        )


def _rejected(subject: Subject) -> Iterator[Finding]:
    """Say that the curation rejected a large part of the user's own structures."""
    by_reason: dict[str, int] = subject.curation.get("rejected") or {}
    reasons = {reason.replace("_", " "): count for reason, count in by_reason.items() if reason != "duplicate"}
    count, total = sum(reasons.values()), subject.curation.get("n_input", 0)
    if subject.made_by in OWN_DATA and count > MAX_REJECTED * total:
        listed = ", ".join(f"{reason}: {number}" for reason, number in reasons.items())
        yield Finding(
            "look",
            f"{count} of your {_structures(total)} were rejected and are not in the errors ({listed}): correct them, or change "
            "the limits in the section curation if they are right. See the section on omitted structures.",
        )


def _contradictions(subject: Subject) -> Iterator[Finding]:
    energies, forces = contradictions(subject), force_contradictions(subject)
    numbers = (subject.curation.get("contradicting_labels", 0), forces.size)
    for name, unit, count, differences in zip(
        ("energies", "forces"), ("meV/atom", "eV/Å"), numbers, (energies, forces), strict=True
    ):
        if count:
            largest = f" by up to {three_digits(float(differences.max()))} {unit}" if differences.size else ""
            yield Finding(
                "look",
                f"{_counted(count, 'pair')} of equal structures have {name} that differ{largest}: either the labels are not "
                "converged, or they are from different methods.",
            )


def _coverage(subject: Subject) -> Iterator[Finding]:
    structures = subject.structures
    train = ~structures.is_test
    of_kind = np.bincount(structures.kinds[train], minlength=len(structures.kind_names))
    # One isolated atom is enough.
    isolated = (structures.n_atoms == 1) & np.isnan(structures.shortest)
    few = [
        name
        for number, name in enumerate(structures.kind_names)
        if of_kind[number] < MIN_OF_A_KIND and not isolated[structures.kinds == number].all()
    ]
    if few:
        more = f" and {len(few) - MAX_NAMED} more kinds" if len(few) > MAX_NAMED else ""
        yield Finding(
            "note",
            f"These kinds have fewer than {MIN_OF_A_KIND} training structures: {', '.join(few[:MAX_NAMED])}{more}. "
            f"Errors on them are less certain; if they matter to you, {Advice(subject).larger_share()}.",
        )


def _teacher(subject: Subject) -> Iterator[Finding]:
    """Say what the teacher was used for; its labels are not those of the dataset."""
    teacher = subject.teacher
    if not teacher:
        return
    selected = (
        "" if teacher["selected"] is None else f", of which the oracle labelled {teacher['selected']} at the start"
    )
    text = (
        f"Teacher {teacher['name']}: it labelled {_structures(teacher['labelled'])}; its labels are not in the dataset, nor in "
        "the numbers of labels on this page. Exploration with its potential found "
        f"{_structures(teacher['explored'])}{selected}."
    )
    yield Finding("note", f"{text} {_use_of_teacher(subject.metrics.get('teacher'))}")


def _use_of_teacher(fit: dict[str, Any] | None) -> str:
    """Return whether the fit used the potential of the teacher as prior, with the validation errors of the choice."""
    if fit is None:
        return "It was used only for exploration."
    errors = {
        name: "no errors"
        if candidate["validation_force_rms"] is None
        else f"{1000 * candidate['validation_energy_rms']:.3g} meV/√atom and {candidate['validation_force_rms']:.3g} eV/Å"
        for name, candidate in fit["candidates"].items()
    }
    use = "only for exploration" if fit["use"] == "exploration only" else f"also as prior of the fit ({fit['chosen']})"
    listed = "; ".join(f"{name}: {error}" for name, error in errors.items())
    return (
        f"It was used {use}. Reason: {fit['chosen_by']}. Errors in cross-validation, weighted as in the fit: {listed}."
    )


def _validation(subject: Subject) -> Iterator[Finding]:
    validation = subject.validation
    if validation is None:
        return
    failed = [check for check in validation.checks if check["passed"] is False]
    compared = [check for check in validation.checks if check["passed"] is not None]
    if len(compared) < len(validation.checks):
        yield Finding(
            "note",
            f"{_counted_as(len(validation.checks) - len(compared), 'quantity', 'quantities')} of the validation cannot be "
            "compared: by the oracle, the crystal has no energy minimum or is unstable.",
        )
    if not compared:
        return
    if not failed:
        passed = "The only validation check" if len(compared) == 1 else f"All {len(compared)} validation checks"
        yield Finding("good", f"{passed} passed.")
        return
    yield Finding(
        "bad",
        f"{len(failed)} of {len(compared)} validation checks failed: "
        + "; ".join(_named(check, validation) for check in failed[:MAX_NAMED])
        + (" and more." if len(failed) > MAX_NAMED else ".")
        + " See the table of the validation.",
    )


def _named(check: dict[str, Any], validation: Validation) -> str:
    where = f" of {check['structure']}" if check.get("structure") else ""
    if check.get("deviation") is None or check.get("limit") is None:
        return f"{check['quantity']}{where} ({check.get('reason') or 'no value'})"
    deviation, limit = (validation.deviation(check, key) for key in ("deviation", "limit"))
    return f"{check['quantity']}{where} (deviation {deviation}, limit {limit})"
