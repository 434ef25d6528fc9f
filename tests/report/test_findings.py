"""A potential made bad on purpose is called bad, for the right reason."""

from __future__ import annotations

from typing import Any

import pytest
from aiida import orm
from aiida.engine import run_get_node
from aiida.manage.configuration import Profile

from aiida_mlip_autopipec.config.schemas.pipeline import PipelineConfig
from aiida_mlip_autopipec.report.collect import collect
from aiida_mlip_autopipec.report.findings import Finding, find, verdict
from aiida_mlip_autopipec.workflows.builder import build_one_shot

from .stored import CHECK, rattled_copper, store_fit, store_validation


def found_in(node: orm.Node) -> tuple[str, list[Finding]]:
    findings = find(collect(node))
    return verdict(findings)[0], findings


def bad(findings: list[Finding]) -> str:
    return " ".join(finding.text for finding in findings if finding.level == "bad")


@pytest.mark.parametrize(
    ("training", "reasons"),
    [
        ({"cutoff": 2.8}, ("The cutoff is short", "farther apart than the cutoff of 2.8 Å")),
        ({"n_functions": 60, "cutoff": 5.0}, ("knows by heart", "Few structures")),
    ],
    ids=["short cutoff", "few structures"],
)
def test_a_potential_made_bad_is_bad_for_that_reason(
    aiida_profile: Profile, small_config: PipelineConfig, training: dict[str, Any], reasons: tuple[str, ...]
) -> None:
    content = small_config.model_dump(mode="json")
    content["generator"]["count"] = 20
    content["training"] = {"test_fraction": 0.2, **training}
    _, node = run_get_node(build_one_shot(PipelineConfig.model_validate(content)))
    assert node.is_finished_ok, node.exit_message
    level, findings = found_in(node)
    assert level == "bad"
    for reason in reasons:
        assert reason in bad(findings)


def test_small_errors_are_good(aiida_profile: Profile) -> None:
    level, findings = found_in(store_fit(rattled_copper(200), noise=0.001))
    assert level == "good" and findings[0].text.startswith("On 20 structures that it never saw")


def test_large_errors_on_all_structures_are_not_blamed_on_their_number(aiida_profile: Profile) -> None:
    points = [
        {"n_structures": n, "n_functions": 100, "energy_rms": e, "force_rms": e} for n, e in ((50, 1), (100, 0.1))
    ]
    curves = {"by_structures": points, "by_functions": []}
    _, findings = found_in(store_fit(rattled_copper(100), noise=1.0, learning_curve=curves))
    assert "cannot even describe" in bad(findings)
    assert not any("still falls" in finding.text for finding in findings)


def test_an_error_that_still_falls_asks_for_more_structures(aiida_profile: Profile) -> None:
    points = [
        {"n_structures": n, "n_functions": 100, "energy_rms": e, "force_rms": e} for n, e in ((50, 1), (100, 0.5))
    ]
    curves = {"by_structures": points, "by_functions": []}
    level, findings = found_in(store_fit(rattled_copper(100), noise=0.001, learning_curve=curves))
    assert level == "look" and "fell to 50%" in findings[1].text


def test_a_failed_check_of_the_validation_is_named(aiida_profile: Profile) -> None:
    potential = store_fit(rattled_copper(200), noise=0.001)
    store_validation(potential, CHECK, {**CHECK, "passed": False, "deviation": None, "reason": "phonons are unstable"})
    level, findings = found_in(potential)
    assert level == "bad"
    assert "off by 0.12 Å, 0.02 allowed" in bad(findings) and "phonons are unstable" in bad(findings)
