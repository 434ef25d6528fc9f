"""Text for the methods section of a paper: what was done, with which versions, and whom to cite."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_WIDTH = 100
"""Characters in a line of the text."""

EXPLORATION = "write_exploration_files"
"""Process behind a potential that was made by active learning."""

REFERENCES = {
    "ace": "R. Drautz, Phys. Rev. B 99, 014104 (2019), doi:10.1103/PhysRevB.99.014104",
    "pace": "Y. Lysogorskiy et al., npj Comput. Mater. 7, 97 (2021), doi:10.1038/s41524-021-00559-9",
    "pacemaker": "A. Bochkarev et al., Phys. Rev. Mater. 6, 013804 (2022), doi:10.1103/PhysRevMaterials.6.013804",
    "finnis_sinclair": "M. W. Finnis and J. E. Sinclair, Philos. Mag. A 50, 45 (1984), doi:10.1080/01418618408244210",
    "active": "Y. Lysogorskiy et al., Phys. Rev. Mater. 7, 043801 (2023), doi:10.1103/PhysRevMaterials.7.043801",
    "aiida": "S. P. Huber et al., Sci. Data 7, 300 (2020), doi:10.1038/s41597-020-00638-4",
    "aiida_engine": "M. Uhrin et al., Comput. Mater. Sci. 187, 110086 (2021), doi:10.1016/j.commatsci.2020.110086",
    "ase": "A. H. Larsen et al., J. Phys.: Condens. Matter 29, 273002 (2017), doi:10.1088/1361-648X/aa680e",
    "qe_2009": "P. Giannozzi et al., J. Phys.: Condens. Matter 21, 395502 (2009), doi:10.1088/0953-8984/21/39/395502",
    "qe_2017": "P. Giannozzi et al., J. Phys.: Condens. Matter 29, 465901 (2017), doi:10.1088/1361-648X/aa8f79",
    "sssp": "G. Prandini et al., npj Comput. Mater. 4, 72 (2018), doi:10.1038/s41524-018-0127-2",
}


@dataclass(frozen=True)
class Facts:
    """Facts on a potential, from its provenance.

    :param metrics: the metrics of its fit.
    :param oracle: settings of the reference method; empty if the labels came from files.
    :param teacher: settings of the teacher, a cheaper method; empty without a teacher.
    :param selection: settings of the last selection; empty without a selection.
    :param stages: names of the processes behind the potential and their counts.
    :param n_generated: number of generated structures.
    :param version: version of this package.
    """

    potential: str
    metrics: Mapping[str, Any]
    oracle: Mapping[str, Any] = field(default_factory=dict)
    stages: Mapping[str, int] = field(default_factory=dict)
    n_generated: int = 0
    version: str = ""
    teacher: Mapping[str, Any] = field(default_factory=dict)
    selection: Mapping[str, Any] = field(default_factory=dict)


def citation(facts: Facts) -> str:
    """Return the text, with numbered references in the order in which it cites them."""
    cited: list[str] = []

    def cite(*names: str) -> str:
        cited.extend(name for name in names if name not in cited)
        return f"[{', '.join(str(cited.index(name) + 1) for name in names)}]"

    paragraphs = [
        " ".join([_fit(facts, cite), _errors(facts.metrics)]),
        _data(facts, cite),
        f"All steps were run by aiida-mlip-autopipec {facts.version} with AiiDA {cite('aiida', 'aiida_engine')}, which stores "
        f"the provenance of the potential (UUID {facts.potential}).",
        f"Versions: {', '.join(f'{name} {version}' for name, version in _versions(facts).items())}.",
    ]
    references = [f"[{number}] {REFERENCES[name]}" for number, name in enumerate(cited, start=1)]
    body = "\n\n".join(textwrap.fill(paragraph, _WIDTH) for paragraph in paragraphs if paragraph)
    return f"{body}\n\n" + "\n".join(references) + "\n"


def _fit(facts: Facts, cite: Any) -> str:
    metrics = facts.metrics
    elements = ", ".join(metrics["elements"])
    engine = "by linear least squares" if metrics["engine"] == "linear" else "by nonlinear optimisation with pacemaker"
    embedding = ""
    if metrics.get("embedding_eV"):
        embedding = f", a square-root embedding of the density of neighbours {cite('finnis_sinclair')}"
    return (
        f"An atomic cluster expansion (ACE) potential {cite('ace', 'pace', 'pacemaker')} for {elements} with "
        f"{metrics['n_functions']} basis functions{embedding} and a cutoff of {metrics['cutoff_A']:.3g} Å was fitted {engine}."
    )


def _errors(metrics: Mapping[str, Any]) -> str:
    test, name = (metrics["test"], "test") if metrics.get("test") else (metrics["train"], "training")
    return (
        f"The root mean square errors on the {name} set are {test['energy_rmse_meV_per_atom']:.3g} meV/atom for energies and "
        f"{1000 * test['force_rmse_eV_per_A']:.3g} meV/Å for forces."
    )


def _data(facts: Facts, cite: Any) -> str:
    sentences = []
    if facts.n_generated:
        sentences.append(f"{facts.n_generated} structures were generated.")
    if any(stage.startswith("take_selected") for stage in facts.stages):
        sentences.append(_selection_sentence(facts, cite))
    sentences.append(_oracle_sentence(facts.oracle, cite))
    if facts.teacher:
        sentences.append(_teacher_sentence(facts))
    return " ".join(sentences)


def _selection_sentence(facts: Facts, cite: Any) -> str:
    by_distance = facts.selection.get("method") == "farthest_point"
    method = "farthest-point sampling of atomic descriptors" if by_distance else f"D-optimal design {cite('active')}"
    if EXPLORATION in facts.stages:
        return (
            "In rounds of active learning, structures with a large extrapolation grade were saved from simulations with the "
            f"newest potential {cite('active')}; of these, the structures to label were selected by {method}."
        )
    at_random = ", and in part drawn at random" if facts.selection.get("representative") else ""
    return f"Structures to label were selected by {method}{at_random}."


def _teacher_sentence(facts: Facts) -> str:
    method = f"the calculator '{facts.teacher['calculator']}'" if "calculator" in facts.teacher else "another method"
    fit = facts.metrics.get("teacher") or {}
    prior = ", and its coefficients are the prior of the fit" if fit.get("use") == "exploration and prior" else ""
    return (
        f"Candidates were also explored with a potential that was fitted to labels of {method}, a cheaper method (the "
        f"teacher){prior}; these labels are not in the dataset. Cite the authors of the teacher too."
    )


def _oracle_sentence(oracle: Mapping[str, Any], cite: Any) -> str:
    if not oracle:
        return "Energies, forces and stresses came from files: describe their method, and cite it."
    if oracle.get("type") == "quantumespresso" or "pseudo_family" in oracle:
        family, code = str(oracle.get("pseudo_family", "")), cite("qe_2009", "qe_2017")
        pseudos = f" and the pseudopotentials {family}" if family else ""
        sssp = f" {cite('sssp')}" if family.upper().startswith("SSSP") else ""
        return f"Reference labels were computed by Quantum ESPRESSO {code}{pseudos}{sssp}."
    return (
        f"Reference labels were computed by the calculator '{oracle.get('calculator', 'unknown')}' through ASE {cite('ase')}; "
        "cite the authors of this calculator and its model too."
    )


def _versions(facts: Facts) -> dict[str, str]:
    identity = facts.oracle.get("identity") or {}
    found = dict(facts.metrics.get("versions", {}))
    if isinstance(identity, Mapping) and isinstance(identity.get("version"), str):
        found["reference method"] = identity["version"]
    return {"aiida-mlip-autopipec": facts.version, **found}


def reference_method(settings: Mapping[str, Mapping[str, Any]], process_names: Sequence[str]) -> Mapping[str, Any]:
    """Return the settings of the reference method among those of the processes behind a potential.

    :param settings: settings by the name of the process.
    :param process_names: names of the processes that compute labels, in order of preference.
    """
    return next((settings[name] for name in process_names if name in settings), {})
