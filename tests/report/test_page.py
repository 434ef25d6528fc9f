"""The page is self-contained, and texts from data are escaped."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from aiida import orm
from aiida.manage.configuration import Profile

from aiida_mlip_autopipec.report.collect import collect
from aiida_mlip_autopipec.report.figures import BLUE, validation_curves
from aiida_mlip_autopipec.report.model import Validation
from aiida_mlip_autopipec.report.page import render
from aiida_mlip_autopipec.runs.results import write_results

from .stored import CHECK, CURVE, rattled_copper, store_fit, store_validation

HOSTILE = "</script><img src=x onerror=alert(1)>"


def test_page_needs_no_network(finished_run: orm.WorkChainNode) -> None:
    page = render(collect(finished_run))
    assert not re.search(r"""(src|href)=(?!["']?(#|data:))|url\((?!#)|@import|https?://""", page)
    assert "default-src 'none'" in page


def test_page_has_all_sections(finished_run: orm.WorkChainNode) -> None:
    page = render(collect(finished_run))
    for id_ in ("asked", "errors", "learning", "covered", "rejected", "validation", "origin", "reproduce"):
        assert f'id="{id_}"' in page
    assert finished_run.outputs.potential.uuid in page
    assert "AseLabelCalculation" in page and "aiida-core" in page and "n_functions: 15" in page
    assert "has not been validated in this database" in page


def test_names_from_data_are_escaped(aiida_profile: Profile) -> None:
    potential = store_fit(rattled_copper(20, families=(HOSTILE, "fcc")))
    store_validation(potential, {**CHECK, "name": HOSTILE, "reason": HOSTILE})
    page = render(collect(potential))
    assert "<img" not in page
    assert page.count("</script>") == 2


def test_omitted_structures_are_listed_with_the_reason(finished_run: orm.WorkChainNode) -> None:
    subject = collect(finished_run)
    subject.oracle["failed"] = [
        {"label": "Cu2_000", "step": 3, "family": "dimer", "kind": "timeout", "reason": "60 s", "calculation": "abc"}
    ]
    subject.curation["rejections"] = [
        {"reason": "force_too_large", "detail": "1000 eV/Å", "formula": "Cu4", "family": "hot"}
        | {"source_uuid": "def", "source_step": 7}
    ] * 60
    page = render(subject)
    for text in (
        "failed label: timeout",
        "calculation abc",
        "force too large",
        "trajectory def, step 7",
        "and 10 more",
    ):
        assert text in page


def test_settings_are_shown_as_text_and_vanishing_forces_as_a_dash(aiida_profile: Profile) -> None:
    subject = collect(store_fit(rattled_copper(20)))
    subject.changed_settings["structures"] = [{"file": "NiAl.cif"}, {"file": "Ni.cif", "weight": 2.0}]
    still = replace(subject.structures, forces=(0.0 * subject.structures.forces[0],) * 2)
    page = render(replace(subject, structures=still))
    assert "<dd>file: NiAl.cif; file: Ni.cif, weight: 2.0</dd>" in page
    assert "{&#39;file" not in page and '<td class="n">–</td>' in page


def test_kinds_of_given_structures_are_shown_as_text(aiida_profile: Profile) -> None:
    frames = rattled_copper(20, families=("unknown", "gamma prime_hot", "fcc_hot"))
    for atoms in frames:
        if atoms.info["family"].startswith("gamma"):
            atoms.info["origin"] = "gamma prime: Ni3Al.cif, frame 0"
    assert collect(store_fit(frames)).structures.kind_names == ["fcc_hot", "gamma prime: hot", "own data"]


def test_energies_without_isolated_atoms_are_relative_to_offsets(aiida_profile: Profile) -> None:
    page = render(collect(store_fit(rattled_copper(20), reference_energies_source="least_squares")))
    assert "energy relative to fitted offsets" in page and "energy relative to free atoms" not in page


def test_branches_of_a_dispersion_share_a_plot(aiida_profile: Profile) -> None:
    branches = [{**CURVE, "name": f"phonons of fcc branch {number}", "kind": "phonons"} for number in (1, 2, 3)]
    broken = {**CURVE, "name": "dimer", "potential": [None, 1.0, 2.0, None], "oracle": None}
    empty = {**CURVE, "name": "nothing", "x": [], "potential": [], "oracle": []}
    figures = validation_curves(Validation("", True, [], [*branches, broken, empty], {}))
    assert [figure.caption for figure in figures] == ["phonons of fcc", "dimer"]
    assert [figure.plot.count(f"fill: none; stroke: {BLUE}") for figure in figures] == [3, 1]
    assert [figure.plot.count("<title>") for figure in figures] == [12, 0]


@pytest.mark.parametrize("n_families", [1, 9, 30])
def test_many_kinds_are_grouped_in_the_filter(aiida_profile: Profile, n_families: int) -> None:
    families = [f"phase{number}_{number}" for number in range(n_families)]
    page = render(collect(store_fit(rattled_copper(30, families=families))))
    assert page.count("data-kind=") == n_families
    assert page.count("data-group=") == min(n_families, 10)


def test_results_of_a_run_include_the_report(finished_run: orm.WorkChainNode, tmp_path: Path) -> None:
    assert tmp_path / "report.html" in write_results(finished_run, tmp_path)
    assert (tmp_path / "report.html").read_text().startswith("<!DOCTYPE html>")


def test_shortest_distance_is_that_of_the_structures(aiida_profile: Profile) -> None:
    frames = rattled_copper(20)
    subject = collect(store_fit(frames))
    least = min(float(atoms.get_all_distances(mic=True)[np.triu_indices(4, 1)].min()) for atoms in frames)
    assert f"the shortest is {least:.3f} Å" in render(subject)


def test_times_are_named_wall_time_or_processor_time(aiida_profile: Profile) -> None:
    page = render(collect(store_fit(rattled_copper(20), cpu_time_s=12.0)))
    assert "wall time (s)" in page and "processor time of one core" in page


def test_warnings_about_the_data_are_in_the_section_on_the_data(aiida_profile: Profile) -> None:
    subject = collect(store_fit(rattled_copper(20)))
    assert 'id="warnings"' not in render(subject)
    doubts = [
        {"check": "mixed_energies", "message": m, "cause": "half may be in Hartree"} for m in (HOSTILE, "two groups")
    ]
    subject.curation.update(n_input=20, n_kept=20, plausibility=doubts)
    page = render(subject)
    section = page[page.index('id="covered"') : page.index('id="rejected"')]
    assert "two groups. Likely cause: half may be in Hartree" in section and "<img" not in page


def test_both_test_errors_are_shown_if_test_structures_equal_training_structures(aiida_profile: Profile) -> None:
    frames = rattled_copper(40)
    frames[39].info["group"] = frames[38].info["group"] = 7
    page = render(collect(store_fit(frames)))
    assert "energy RMSE, test (3 structures" in page
    assert "energy RMSE, test, with structures that equal training structures (4 structures" in page
