"""The page is complete in itself, and what comes from data stays text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from aiida import orm
from aiida.manage.configuration import Profile

from aiida_mlip_autopipec.report.collect import collect
from aiida_mlip_autopipec.report.figures import validation_curves
from aiida_mlip_autopipec.report.model import Validation
from aiida_mlip_autopipec.report.page import render
from aiida_mlip_autopipec.workflows.results import write_results

from .stored import CHECK, CURVE, rattled_copper, store_fit, store_validation

HOSTILE = "</script><img src=x onerror=alert(1)>"


def test_it_asks_nothing_of_a_network(finished_run: orm.WorkChainNode) -> None:
    page = render(collect(finished_run))
    assert not re.search(r"""(src|href)=(?!["']?(#|data:))|url\(|@import|https?://""", page)
    assert "default-src 'none'" in page


def test_it_tells_all_that_was_promised(finished_run: orm.WorkChainNode) -> None:
    page = render(collect(finished_run))
    for id_ in ("asked", "errors", "learning", "covered", "rejected", "validation", "origin", "reproduce"):
        assert f'id="{id_}"' in page
    assert finished_run.outputs.potential.uuid in page
    assert "AseLabelCalculation" in page and "aiida-core" in page and "n_functions: 15" in page
    assert "There is none of this potential in the database" in page


def test_names_from_data_are_escaped(aiida_profile: Profile) -> None:
    potential = store_fit(rattled_copper(20, families=(HOSTILE, "fcc")))
    store_validation(potential, {**CHECK, "name": HOSTILE, "reason": HOSTILE})
    page = render(collect(potential))
    assert "<img" not in page
    assert page.count("</script>") == 2


def test_what_was_left_out_is_told_with_its_reason(finished_run: orm.WorkChainNode) -> None:
    subject = collect(finished_run)
    subject.oracle["failed"] = [
        {"label": "Cu2_000", "step": 3, "family": "dimer", "kind": "timeout", "reason": "60 s", "calculation": "abc"}
    ]
    subject.curation["rejections"] = [
        {"reason": "force_too_large", "detail": "1000 eV/Å", "formula": "Cu4", "family": "hot"}
        | {"source_uuid": "def", "source_step": 7}
    ] * 60
    page = render(subject)
    for text in ("no label: timeout", "calculation abc", "force too large", "trajectory def, step 7", "and 10 more"):
        assert text in page


def test_branches_of_a_dispersion_share_a_plot(aiida_profile: Profile) -> None:
    branches = [{**CURVE, "name": f"phonons of fcc branch {number}", "kind": "phonons"} for number in (1, 2, 3)]
    broken = {**CURVE, "name": "dimer", "potential": [None, 1.0, 2.0, None], "oracle": None}
    empty = {**CURVE, "name": "nothing", "x": [], "potential": [], "oracle": []}
    figures = validation_curves(Validation("", True, [], [*branches, broken, empty], {}))
    assert [figure.caption for figure in figures] == ["phonons of fcc", "dimer"]
    assert figures[0].plot.count("<polyline") == 3 and figures[0].plot.count("<circle") == 12
    assert figures[1].plot.count("<polyline") == 1 and "<circle" not in figures[1].plot


@pytest.mark.parametrize("n_families", [1, 9, 30])
def test_it_shows_few_and_many_kinds(aiida_profile: Profile, n_families: int) -> None:
    families = [f"phase{number}_{number}" for number in range(n_families)]
    page = render(collect(store_fit(rattled_copper(30, families=families))))
    assert page.count("data-kind=") == n_families
    assert page.count("data-group=") == min(n_families, 10)


def test_the_results_of_a_run_include_it(finished_run: orm.WorkChainNode, tmp_path: Path) -> None:
    assert tmp_path / "report.html" in write_results(finished_run, tmp_path)
    assert (tmp_path / "report.html").read_text().startswith("<!DOCTYPE html>")
