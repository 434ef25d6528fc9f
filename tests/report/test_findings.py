"""The findings of a report: cause of the errors, one advice, and a verdict that the numbers support."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from aiida import orm
from aiida.engine import run_get_node
from aiida.manage.configuration import Profile
from ase.build import bulk

from aiida_mlip_autopipec.config.schemas.pipeline import PipelineConfig
from aiida_mlip_autopipec.pipelines.builders import build_one_shot
from aiida_mlip_autopipec.report.advice import Advice
from aiida_mlip_autopipec.report.collect import collect
from aiida_mlip_autopipec.report.diagnosis import Finding, TrainTestErrors
from aiida_mlip_autopipec.report.errors import error_statistics, percent
from aiida_mlip_autopipec.report.figures import learning_curves
from aiida_mlip_autopipec.report.findings import all_findings, verdict
from aiida_mlip_autopipec.report.model import Subject, Validation
from aiida_mlip_autopipec.report.summary import summary

from ..conftest import label_by_emt
from .stored import CHECK, rattled_copper, store_fit, store_validation


def found_in(node: orm.Node) -> tuple[str, list[Finding]]:
    subject = collect(node)
    findings = all_findings(subject)
    return verdict(findings, TrainTestErrors.of(subject).level)[0], findings


def found(node: orm.Node, curation: dict[str, Any]) -> list[Finding]:
    """Return the findings on a fit whose dataset has a curation report."""
    return all_findings(replace(collect(node), curation=curation))


def texts(findings: list[Finding]) -> str:
    return " ".join(finding.text for finding in findings)


def advice(findings: list[Finding]) -> list[str]:
    return [finding.advice for finding in findings if finding.advice]


def bad(findings: list[Finding]) -> str:
    return " ".join(finding.text for finding in findings if finding.level == "bad")


@pytest.mark.parametrize(
    ("training", "reasons"),
    [
        ({"cutoff": 2.8}, ("The cutoff is short", "farther apart than the cutoff of 2.8 Å")),
        (
            {"n_functions": 66, "cutoff": 6.0, "embedding": False},
            ("Overfitting: test errors are", "training structures"),
        ),
    ],
    ids=["short cutoff", "few structures"],
)
def test_verdict_names_the_cause_of_a_deliberately_poor_fit(
    aiida_profile: Profile, small_config: PipelineConfig, training: dict[str, Any], reasons: tuple[str, ...]
) -> None:
    content = small_config.model_dump(mode="json")
    content["generator"].update(count=20, max_atoms=8)
    content["training"] = {"test_fraction": 0.2, **training}
    _, node = run_get_node(build_one_shot(PipelineConfig.model_validate(content)))
    assert node.is_finished_ok, node.exit_message
    level, findings = found_in(node)
    assert level == "bad"
    for reason in reasons:
        assert reason in bad(findings)


def test_summary_has_the_verdict_and_its_findings(aiida_profile: Profile) -> None:
    subject = collect(store_fit(rattled_copper(40), noise=[0.1 if i % 10 == 9 else 0.005 for i in range(40)]))
    verdict_line, *reasons = summary(subject)
    assert verdict_line == "Not good enough: 2 reasons below."
    assert [line[:4] for line in reasons] == ["  - ", "  - ", "    "]
    assert "Overfitting" in reasons[1] and reasons[2] == "    -> Add labelled structures to the training data."
    assert summary(collect(store_fit(rattled_copper(200), noise=0.001))) == ["Good: the errors are small."]


def test_small_errors_give_a_good_verdict(aiida_profile: Profile) -> None:
    level, findings = found_in(store_fit(rattled_copper(200), noise=0.001))
    assert level == "good" and findings[0].text.startswith("Test errors on 20 structures: ")


def test_large_training_errors_are_underfitting_and_not_few_data(aiida_profile: Profile) -> None:
    points = [
        {"n_structures": n, "n_functions": 100, "energy_rms": e, "force_rms": e} for n, e in ((50, 1), (100, 0.1))
    ]
    curves = {"by_structures": points, "by_functions": []}
    _, findings = found_in(store_fit(rattled_copper(100), noise=1.0, learning_curve=curves))
    assert "Underfitting: training errors are" in bad(findings)
    assert "Few data" not in texts(findings)


def test_error_that_falls_with_the_number_of_structures_is_reported(aiida_profile: Profile) -> None:
    points = [
        {"n_structures": n, "n_functions": 100, "energy_rms": e, "force_rms": e} for n, e in ((50, 1), (100, 0.5))
    ]
    curves = {"by_structures": points, "by_functions": []}
    level, findings = found_in(store_fit(rattled_copper(100), noise=0.001, learning_curve=curves))
    assert level == "look" and "fell to 50 % for energies, to 50 % for forces" in findings[1].text


def test_caption_of_a_learning_curve_gives_the_change_of_both_errors(aiida_profile: Profile) -> None:
    points = [
        {"n_structures": n, "n_functions": 100, "energy_rms": e, "force_rms": f}
        for n, e, f in ((50, 1.0, 1.0), (100, 0.69, 0.92))
    ]
    figure = learning_curves({"learning_curve": {"by_structures": points, "by_functions": []}})[0]
    assert "From 50 to 100 structures the error fell to 69 % for energies, to 92 % for forces." in figure.caption


def test_learning_curve_over_the_time_ends_at_the_potential() -> None:
    points: list[dict[str, Any]] = [
        {"n_structures": 100, "n_functions": n, "energy_rms": error, "force_rms": error, "microseconds_per_atom": time}
        for n, error, time in ((50, 1.0, 40.0), (100, 0.7, 60.0))
    ]
    points.append({"n_structures": 100, "n_functions": 200, "energy_rms": 0.5, "force_rms": 0.5})
    metrics = {"learning_curve": {"by_structures": [], "by_functions": points}, "microseconds_per_atom": 100.0}
    assert [figure.name for figure in learning_curves(metrics)] == ["learning-functions", "learning-microseconds"]
    assert "50, 100, 200 functions" in learning_curves(metrics)[1].caption
    # Fits of earlier versions have no times.
    for point in points[:-1]:
        del point["microseconds_per_atom"]
    assert [figure.name for figure in learning_curves(metrics)] == ["learning-functions"]


@pytest.mark.parametrize(("fraction", "text"), [(0.0, "0 %"), (0.001, "< 1 %"), (0.04, "4 %"), (1.25, "125 %")])
def test_percentages_are_formatted_in_one_way(fraction: float, text: str) -> None:
    assert percent(fraction) == text


def test_findings_name_a_failed_check_of_the_validation(aiida_profile: Profile) -> None:
    potential = store_fit(rattled_copper(200), noise=0.001)
    store_validation(potential, CHECK, {**CHECK, "passed": False, "deviation": None, "reason": "phonons are unstable"})
    level, findings = found_in(potential)
    assert level == "bad"
    assert "deviation 0.12 Å, limit 0.02 Å" in bad(findings) and "phonons are unstable" in bad(findings)


def test_quantity_that_is_not_comparable_is_not_a_failed_check(aiida_profile: Profile) -> None:
    subject = collect(store_fit(rattled_copper(200), noise=0.001))
    checks = [{**CHECK, "passed": True}, {**CHECK, "passed": None, "deviation": None, "reason": "not comparable"}]
    found = texts(all_findings(replace(subject, validation=Validation("", True, checks, [], {}))))
    assert "The only validation check passed" in found and "1 quantity of the validation cannot be compared" in found


def test_the_deviation_of_a_relative_check_has_no_unit(aiida_profile: Profile) -> None:
    check = {**CHECK, "name": "elastic_constant", "quantity": "C11", "unit": "GPa", "deviation": 0.31, "limit": 0.15}
    subject = collect(store_fit(rattled_copper(200), noise=0.001))
    validation = Validation("", False, [check], [], {"relative": ["elastic_constant"]})
    assert "C11 of fcc (deviation 31 %, limit 15 %)" in texts(all_findings(replace(subject, validation=validation)))


def test_test_structures_that_equal_training_structures_are_counted_separately(aiida_profile: Profile) -> None:
    frames = rattled_copper(200)
    for index, atoms in enumerate(frames):
        # Ten of the twenty test structures equal one in train.
        atoms.info["group"] = index - 5 if index % 20 == 19 else index
    noise = [0.02 if index % 20 == 9 else 0.001 for index in range(200)]
    level, findings = found_in(store_fit(frames, noise=noise))
    structures = collect(store_fit(frames, noise=noise)).structures
    assert structures.is_test.sum() == 20 and structures.is_unseen.sum() == 10
    unseen, together = (
        error_statistics(structures, structures.is_unseen),
        error_statistics(structures, structures.is_test),
    )
    assert findings[0].text == f"Test errors on 10 structures: {unseen}."
    note = next(finding for finding in findings if "equal training structures" in finding.text)
    assert note.level == "note" and "10 of 20" in note.text and str(together) in note.text
    assert level != "bad"


def test_equal_structures_alone_give_no_bad_verdict(aiida_profile: Profile) -> None:
    frames = rattled_copper(200)
    for index, atoms in enumerate(frames):
        atoms.info["group"] = index - 5 if index % 20 == 19 else index
    assert found_in(store_fit(frames, noise=0.001))[0] == "good"
    for index, atoms in enumerate(frames):
        atoms.info["group"] = index - 5 if index % 10 == 9 else index
    level, findings = found_in(store_fit(frames, noise=0.001, made_by="PaceTrainWorkChain"))
    assert level == "look" and findings[0].text.startswith("All 20 test structures equal training structures")


def test_a_kind_is_compared_with_the_mean_of_the_test_errors(aiida_profile: Profile) -> None:
    # The cycles of the three kinds and of the test structures are independent: each kind is a third of the test set.
    frames = rattled_copper(180, families=("fcc_hot", "fcc_rattled", "mine"))
    noise = [{"fcc_hot": 0.1, "fcc_rattled": 0.04, "mine": 0.04}[atoms.info["family"]] for atoms in frames]
    _, findings = found_in(store_fit(frames, noise=noise))
    (worse,) = [finding.text for finding in findings if "larger than average" in finding.text]
    assert "fcc_hot (6 tested" in worse and "fcc_rattled" not in worse and "mine" not in worse


def test_training_errors_of_a_kind_are_not_compared(aiida_profile: Profile) -> None:
    frames = rattled_copper(180, families=("fcc_hot", "fcc_rattled", "mine"))
    noise = [0.5 if a.info["family"] == "fcc_hot" and a.info["split"] == "train" else 0.02 for a in frames]
    assert "fcc_hot" not in texts(found_in(store_fit(frames, noise=noise))[1])


def test_two_test_structures_are_too_few_for_a_verdict_on_their_kind(aiida_profile: Profile) -> None:
    frames = rattled_copper(200)
    for index in (9, 19):
        frames[index].info["family"] = "rare"
    noise = [0.5 if atoms.info["family"] == "rare" else 0.001 for atoms in frames]
    _, findings = found_in(store_fit(frames, noise=noise))
    assert "larger than average" not in texts(findings)


@pytest.mark.parametrize(
    ("made_by", "more"),
    [
        ("PaceTrainWorkChain", "Add labelled structures to the training data."),
        ("OneShotWorkChain", "Generate and label more structures (generator.count)."),
        ("ActiveLearningWorkChain", "Allow more labelled structures (learning.max_labels)."),
        ("", "Add labelled structures to the training data."),
    ],
)
def test_advice_names_the_settings_of_the_command(aiida_profile: Profile, made_by: str, more: str) -> None:
    frames = rattled_copper(40)
    noise = [0.1 if atoms.info["split"] == "test" else 0.005 for atoms in frames]
    level, findings = found_in(store_fit(frames, noise=noise, made_by=made_by))
    assert level == "bad" and "Overfitting" in bad(findings)
    assert advice(findings) == [more]


@pytest.mark.parametrize(
    ("made_by", "number"), [("OneShotWorkChain", "generator.count"), ("ActiveLearningWorkChain", "learning.start")]
)
def test_advice_names_the_number_of_structures_that_the_command_uses(made_by: str, number: str) -> None:
    subject: Any = SimpleNamespace(made_by=made_by, config="")
    assert Advice(subject).larger_share().endswith(f" or {number}")


NOISE = (0.001, 0.015, 0.1, 1.0)


def test_there_is_one_diagnosis_and_one_piece_of_advice(aiida_profile: Profile) -> None:
    subject = collect(store_fit(rattled_copper(60)))
    falls = list(itertools.product((False, True), repeat=2))
    for on_train, on_test, fall, made_by in itertools.product(
        NOISE, NOISE, falls, ("PaceTrainWorkChain", "OneShotWorkChain")
    ):
        made = replace(with_errors(subject, on_train, on_test, fall), made_by=made_by)
        findings = all_findings(made)
        reasons = ("Label noise", "Overfitting", "Underfitting", "Few data", "The cutoff")
        told = [finding for finding in findings if finding.text.startswith(reasons)]
        assert len(told) <= 1 and len(advice(findings)) <= 1
        assert made_by != "PaceTrainWorkChain" or "generator." not in " ".join(advice(findings))
        errors = TrainTestErrors.of(made).level
        assert errors != "bad" or told
        assert (verdict(findings, errors)[0] == "bad") == (errors == "bad")


def with_errors(subject: Subject, on_train: float, on_test: float, falls: tuple[bool, bool]) -> Subject:
    """Return a subject with other errors, and with learning curves by structures and by functions that fall or do not."""
    points = [
        [{"n_structures": n, "n_functions": n, "force_rms": e} for n, e in ((50, 1.0), (100, 0.5 if fall else 1.0))]
        for fall in falls
    ]
    structures = subject.structures
    noise = np.where(structures.is_test, on_test, on_train)
    reference = structures.forces[0]
    error = noise[structures.atoms][:, None] * np.random.default_rng(0).standard_normal(reference.shape)
    metrics = {**subject.metrics, "learning_curve": dict(zip(("by_structures", "by_functions"), points, strict=True))}
    changed = replace(structures, energy_error=1000.0 * noise, forces=(reference, reference + error))
    return replace(subject, structures=changed, metrics=metrics)


def with_small_forces(subject: Subject, scale: float) -> Subject:
    """Return a subject whose forces are smaller by a factor, with the same errors of forces."""
    reference, predicted = subject.structures.forces
    forces = (scale * reference, scale * reference + predicted - reference)
    return replace(subject, structures=replace(subject.structures, forces=forces))


def test_small_forces_that_the_potential_does_not_reproduce_are_to_be_checked(aiida_profile: Profile) -> None:
    subject = collect(store_fit(rattled_copper(200), noise=0.02))
    subject = replace(subject, structures=replace(subject.structures, energy_error=np.full(200, 1.0)))
    assert TrainTestErrors.of(subject).level == "good"
    typical = TrainTestErrors.of(subject).test
    assert typical is not None
    small = with_small_forces(subject, 0.016 / typical.force_rms)
    findings = all_findings(small)
    assert TrainTestErrors.of(small).level == findings[0].level == "look"
    assert re.search(r"0\.0[12]\d* eV/Å \(forces are small here, but this is 1[0-4]\d % of them\)", findings[0].text)
    # Forces of perfect crystals: zero, or rounding errors.
    for scale, noise in ((0.0, 0.0), (0.0, 0.005), (0.002, 0.005)):
        crystals = with_small_forces(collect(store_fit(rattled_copper(200), noise=noise)), scale)
        assert TrainTestErrors.of(crystals).level == "good"


def test_very_large_training_errors_are_to_be_checked(aiida_profile: Profile) -> None:
    frames = rattled_copper(200)
    noise = [0.001] * 200
    noise[7] = 20.0
    level, findings = found_in(store_fit(frames, noise=noise))
    assert level == "look" and "Underfitting" not in texts(findings)
    (outlier,) = [finding for finding in findings if finding.text.startswith("Training structures that do not fit")]
    assert "meV/atom (Cu" in outlier.text and advice(findings) == [outlier.advice]
    # The energies of generated dimers are far above all others.
    frames[7].info["family"] = "dimer"
    assert "do not fit" not in texts(found_in(store_fit(frames, noise=noise))[1])


@pytest.mark.parametrize(("rejected", "level"), [(17, "look"), (3, "good")])
def test_many_rejected_structures_of_the_user_are_to_be_checked(
    aiida_profile: Profile, rejected: int, level: str
) -> None:
    subject = collect(store_fit(rattled_copper(200), noise=0.001, made_by="PaceTrainWorkChain"))
    curation = {"n_input": 25, "rejected": {"force_too_large": rejected, "duplicate": 5}}
    findings = all_findings(replace(subject, curation=curation))
    assert verdict(findings, "good")[0] == level
    assert ("17 of your 25 structures were rejected" in texts(findings)) == (level == "look")


def test_implausible_data_are_the_first_finding(aiida_profile: Profile) -> None:
    doubt = {"check": "stress", "message": "3 stresses contradict the energies", "cause": "the unit may be kbar"}
    findings = found(store_fit(rattled_copper(100), noise=1.0), {"plausibility": [doubt]})
    assert findings[0].level == "bad"
    assert (
        findings[0].text
        == "Check the data first: 3 stresses contradict the energies. Likely cause: the unit may be kbar."
    )
    assert "Underfitting" not in texts(findings) and len(advice(findings)) == 1


def test_contradicting_labels_that_explain_the_errors_are_label_noise(aiida_profile: Profile) -> None:
    contradictions = [{"index": 3, "equal_to": 2, "energy_difference_eV_per_atom": 0.9}] * 4
    curation = {"contradicting_labels": 4, "contradictions": contradictions}
    findings = found(store_fit(rattled_copper(100), noise=1.0), curation)
    assert "Label noise: the energies of equal structures (pairs: 4) differ by 900 meV/atom" in bad(findings)
    # With small errors a few contradictions do not make the potential bad.
    findings = found(store_fit(rattled_copper(200), noise=0.001), curation)
    assert not bad(findings) and "4 pairs of equal structures" in texts(findings)


def test_contradicting_forces_that_explain_the_errors_are_label_noise(aiida_profile: Profile) -> None:
    pair = {"index": 3, "equal_to": 2, "largest_force_difference_eV_per_A": 2.0, "rms_force_difference_eV_per_A": 0.9}
    curation = {"contradicting_labels": 0, "force_contradictions": [pair] * 4}
    noise = store_fit(rattled_copper(100), noise=1.0)
    assert "Underfitting" in texts(found(noise, {}))
    findings = found(noise, curation)
    assert "Label noise: the forces of equal structures (pairs: 4) differ by 0.9 eV/Å" in bad(findings)
    assert "Underfitting" not in texts(findings)
    findings = found(store_fit(rattled_copper(200), noise=0.001), curation)
    assert not bad(findings) and "4 pairs of equal structures have forces that differ by up to 2 eV/Å" in texts(
        findings
    )


def test_errors_at_shorter_distances_than_in_training_are_extrapolation(aiida_profile: Profile) -> None:
    frames = rattled_copper(200)
    dense = bulk("Cu", a=2.6, cubic=True)
    frames[9] = label_by_emt(dense)
    frames[9].info = {"family": "dense", "split": "test"}
    noise = [2.0 if index == 9 else 0.001 for index in range(200)]
    _, findings = found_in(store_fit(frames, noise=noise))
    assert "Extrapolation: in 1 of 20 test structures two atoms are closer" in bad(findings)
    assert "Overfitting" not in texts(findings)


@pytest.mark.parametrize(("within_2", "level"), [(0.94, "note"), (0.5, "look")])
def test_expected_errors_that_cover_too_few_test_errors_are_reported(
    aiida_profile: Profile, within_2: float, level: str
) -> None:
    of_quantity = {"within_1": 0.6, "within_2": within_2}
    coverage = {"test_coverage": {"energy": of_quantity, "force": of_quantity, "n_structures": 20}}
    findings = found_in(store_fit(rattled_copper(200), noise=0.001, expected_error=coverage))[1]
    finding = next(finding for finding in findings if finding.text.startswith("Expected errors"))
    assert finding.level == level
    assert (
        f"60 % of the energy errors are within one and {100 * within_2:.0f} % within two expected errors"
        in finding.text
    )
