"""The page: what is known of a potential as one HTML file, complete in itself."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ..learning.history import ENDS
from . import figures
from .figures import Cloud, Figure
from .findings import ENERGY_LIMITS, FORCE_LIMITS, Errors, errors_of, find, three, verdict
from .kinds import Group, group_kinds
from .model import Structures, Subject
from .rounds import rounds_figures

WORST, MOST_LISTED = 10, 50
"""Numbers of structures in the table of the worst, and in a list of what was left out."""


@dataclass(frozen=True)
class Row:
    """A line of the table of errors."""

    name: str
    colour: str
    all: Errors | None
    train: Errors | None
    test: Errors | None


@dataclass(frozen=True)
class LeftOut:
    """Structures that are not in the dataset, for one reason."""

    reason: str
    count: int
    examples: list[dict[str, str]]


def render(subject: Subject) -> str:
    """Return the page."""
    structures = subject.structures
    counts = np.bincount(structures.kinds, minlength=len(structures.kind_names)).tolist()
    groups = group_kinds(structures.kind_names, counts)
    findings = find(subject)
    clouds = [
        figures.energy_parity(structures),
        figures.force_parity(structures),
        figures.error_strips(structures, groups, "energy"),
        figures.error_strips(structures, groups, "force"),
    ]
    cutoff = subject.metrics["cutoff_A"]
    covered = figures.covered(structures, cutoff)
    coverage = [figures.distance_histogram(subject.coverage, pair, cutoff) for pair in subject.coverage.counts]
    if len(subject.coverage.compositions) > 1:
        coverage.append(figures.composition_bars(subject.coverage))
    environment = _environment()
    return environment.get_template("page.html.j2").render(
        subject=subject,
        level=verdict(findings)[0],
        verdict=verdict(findings)[1],
        findings=findings,
        limits={"energy": ENERGY_LIMITS, "force": FORCE_LIMITS},
        asked=_flat(subject.asked),
        sides=[Row(name, "", errors_of(structures, mask), None, None) for name, mask in _sides(structures)],
        rows=[_row(structures, group.name, group.colour, group.kinds) for group in groups],
        all_rows=[_row(structures, name, "", (number,)) for number, name in enumerate(structures.kind_names)]
        if len(groups) < len(structures.kind_names)
        else [],
        errors=clouds,
        covered=covered,
        coverage=coverage,
        learning=figures.learning_curves(subject.metrics),
        rounds=rounds_figures(subject.learned),
        ended=ENDS.get(subject.learned.get("ended", ""), ""),
        left_out=_left_out(subject),
        worst=_worst(structures),
        curves=figures.validation_curves(subject.validation) if subject.validation else [],
        time=figures.time_bars(subject.stages),
        data=_data(structures, groups, [*clouds, covered]),
        script=_read(environment, "page.js"),
        style=_read(environment, "page.css"),
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("aiida_mlip_autopipec.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["three"] = three
    return environment


def _read(environment: Environment, name: str) -> Markup:
    """Return a file of ours that stands in the page as it is."""
    assert environment.loader is not None
    return Markup(environment.loader.get_source(environment, name)[0])


def _sides(structures: Structures) -> list[tuple[str, np.ndarray]]:
    return [("train", ~structures.is_test), ("test", structures.is_test)]


def _row(structures: Structures, name: str, colour: str, kinds: Sequence[int]) -> Row:
    own = np.isin(structures.kinds, kinds)
    train, test = (errors_of(structures, own & side) for _, side in _sides(structures))
    return Row(name, colour, errors_of(structures, own), train, test)


def _flat(content: Any, prefix: str = "") -> dict[str, str]:
    """Return nested settings as lines."""
    if isinstance(content, dict) and content:
        return {
            key: text
            for name, item in content.items()
            for key, text in _flat(item, f"{prefix}.{name}".lstrip(".")).items()
        }
    if isinstance(content, dict):
        return {}
    return {prefix: ", ".join(map(str, content)) if isinstance(content, list) else str(content)}


def _left_out(subject: Subject) -> list[LeftOut]:
    """Return what the oracle could not label and what curation refused, by reason."""
    by_reason: dict[str, list[dict[str, str]]] = defaultdict(list)
    for failure in subject.oracle.get("failed", []):
        by_reason[f"no label: {failure['kind']}"].append(
            {
                "what": f"{failure['label']}[{failure['step']}]",
                "kind": str(failure["family"]),
                "why": str(failure["reason"]),
                "where": f"calculation {failure['calculation']}",
            }
        )
    for rejection in subject.curation.get("rejections", []):
        by_reason[rejection["reason"].replace("_", " ")].append(
            {
                "what": str(rejection["formula"]),
                "kind": str(rejection["family"]),
                "why": str(rejection["detail"]),
                "where": f"trajectory {rejection['source_uuid']}, step {rejection['source_step']}",
            }
        )
    found = [LeftOut(reason, len(listed), listed[:MOST_LISTED]) for reason, listed in by_reason.items()]
    return sorted(found, key=lambda one: -one.count)


def _worst(structures: Structures) -> list[dict[str, str]]:
    """Return the structures with the largest errors of forces and of energies, in turns."""
    orders = [np.argsort(-structures.force_rmse), np.argsort(-np.abs(structures.energy_error))]
    chosen = list(dict.fromkeys(np.stack(orders, axis=1).ravel().tolist()))[:WORST]
    return [
        {
            "kind": structures.kind_names[structures.kinds[index]],
            "formula": structures.formula_names[structures.formula[index]],
            "side": "test" if structures.is_test[index] else "train",
            "energy": three(structures.energy_error[index]),
            "force": three(structures.force_rmse[index]),
            "largest": three(structures.force_largest_error[index]),
            "where": where_from(structures, index),
        }
        for index in chosen
    ]


def where_from(structures: Structures, index: int) -> str:
    """Return which calculation labelled a structure, or where it stands if none did here."""
    calculation = structures.calculation_uuids[structures.calculation[index]]
    if calculation:
        return f"calculation {calculation}"
    source = structures.source_uuids[structures.source[index]]
    return f"trajectory {source}, step {structures.source_step[index]}" if source else "unknown"


def _data(structures: Structures, groups: Sequence[Group], drawn: Sequence[Figure]) -> Markup:
    """Return what the browser draws, as JSON that may stand in a script element."""
    group_of = [0] * len(structures.kind_names)
    for number, group in enumerate(groups):
        for kind in group.kinds:
            group_of[kind] = number
    content = {
        "kinds": structures.kind_names,
        "groups": [{"name": group.name, "colour": group.colour} for group in groups],
        "groupOf": group_of,
        "formulas": structures.formula_names,
        "calculations": structures.calculation_uuids,
        "sources": structures.source_uuids,
        "structures": {
            "kind": structures.kinds.tolist(),
            "test": structures.is_test.astype(int).tolist(),
            "formula": structures.formula.tolist(),
            "atoms": structures.n_atoms.tolist(),
            "energy": _rounded(structures.energy_reference),
            "energyError": _rounded(structures.energy_error),
            "forceError": _rounded(structures.force_rmse),
            "largest": _rounded(structures.force_largest_error),
            "calculation": structures.calculation.tolist(),
            "source": structures.source.tolist(),
            "step": structures.source_step.tolist(),
        },
        "clouds": {figure.name: _cloud(figure.cloud) for figure in drawn if figure.cloud is not None},
        "cells": figures.CELLS,
        "places": figures.PLACES,
    }
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    # Nothing that comes from data may end the element.
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def _cloud(cloud: Cloud) -> dict[str, Any]:
    return {"x": cloud.points[0], "y": cloud.points[1], "density": cloud.density}


def _rounded(values: np.ndarray) -> list[float]:
    return [float(f"{value:.4g}") for value in values.tolist()]
