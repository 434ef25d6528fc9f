"""The text for a methods section."""

from __future__ import annotations

import re

from aiida_mlip_autopipec.export.citation import Facts, citation

METRICS = {
    "elements": ["Cu"],
    "engine": "linear",
    "n_functions": 300,
    "cutoff_A": 5.5,
    "train": {"energy_rmse_meV_per_atom": 1.0, "force_rmse_eV_per_A": 0.02},
    "test": {"energy_rmse_meV_per_atom": 1.5, "force_rmse_eV_per_A": 0.03},
    "versions": {"python-ace": "0.4.0rc1"},
}


def test_references_are_numbered_as_they_are_cited() -> None:
    oracle = {"type": "quantumespresso", "pseudo_family": "SSSP/1.3/PBEsol/efficiency"}
    text = citation(Facts("uuid-1", METRICS, oracle, {"take_selected": 1}, 200, "0.2.0"))
    body, references = text.rsplit("\n\n", 1)
    cited = list(
        dict.fromkeys(int(number) for group in re.findall(r"\[([\d, ]+)\]", body) for number in group.split(","))
    )
    assert cited == list(range(1, len(references.splitlines()) + 1))
    body = " ".join(body.split())
    assert "1.5 meV/atom" in body and "30 meV/Å" in body and "python-ace 0.4.0rc1" in body and "uuid-1" in body
    assert "Quantum ESPRESSO" in body
    assert "Prandini" in references


def test_text_distinguishes_labels_of_the_teacher_from_those_of_the_oracle() -> None:
    used = {"oracle": {"calculator": "gpaw"}, "teacher": {"calculator": "chgnet"}}
    text = " ".join(citation(Facts("uuid-1", METRICS, **used)).split())
    assert "computed by the calculator 'gpaw'" in text
    assert "fitted to labels of the calculator 'chgnet', a cheaper method (the teacher); these labels are not" in text
    as_prior = {**METRICS, "teacher": {"use": "exploration and prior"}}
    assert "its coefficients are the prior of the fit" in " ".join(citation(Facts("uuid-1", as_prior, **used)).split())


def test_text_asks_the_author_to_describe_labels_from_files() -> None:
    assert "came from files" in " ".join(citation(Facts("uuid-1", {**METRICS, "test": None})).split())


def test_text_describes_the_selection_that_was_made() -> None:
    def text(stages: dict[str, int], **selection: object) -> str:
        return " ".join(citation(Facts("uuid-1", METRICS, stages=stages, selection=selection)).split())

    once = {"take_selected": 1}
    assert "by D-optimal design [4]." in text(once, method="d_optimal", representative=0.0)
    assert "by D-optimal design [4], and in part drawn at random." in text(once, method="d_optimal", representative=0.5)
    assert "by farthest-point sampling" in text(once, method="farthest_point")
    assert "grade" in text({**once, "write_exploration_files": 2}) and "grade" not in text(once)
