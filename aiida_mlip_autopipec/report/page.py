"""The report on a potential as a self-contained HTML page."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ..learning.stop_reasons import STOP_REASONS
from . import figures
from .diagnosis import TrainTestErrors, data_warnings
from .errors import ENERGY_LIMITS, FORCE_LIMITS, Errors, error_statistics, percent, three_digits
from .figures import Cloud, Figure
from .findings import all_findings, verdict
from .kinds import Group, group_kinds
from .model import Structures, Subject
from .rounds import rounds_figures

_UUID = re.compile(r"\b([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")

WORST, MAX_LISTED = 10, 50
"""Maximum numbers of structures in the table of the largest errors, and in each list of omitted structures."""


@dataclass(frozen=True)
class Row:
    """A row of the table of errors; test errors are on structures that equal no training structure."""

    name: str
    colour: str
    count: int
    train: Errors | None
    test: Errors | None


@dataclass(frozen=True)
class OmittedStructures:
    """Structures that are not in the dataset, grouped by reason."""

    reason: str
    count: int
    examples: list[dict[str, str]]


def render(subject: Subject) -> str:
    """Return the HTML page."""
    structures = subject.structures
    counts = np.bincount(structures.kinds, minlength=len(structures.kind_names)).tolist()
    groups = group_kinds(structures.kind_names, counts)
    findings = all_findings(subject)
    level, in_words = verdict(findings, TrainTestErrors.of(subject).level)
    fitted_zero = subject.metrics.get("reference_energies_source") == "least_squares"
    zero = "fitted offsets" if fitted_zero else "free atoms"
    clouds = [
        figures.energy_parity(structures, zero),
        figures.force_parity(structures),
        figures.error_strips(structures, groups, "energy"),
        figures.error_strips(structures, groups, "force"),
    ]
    cutoff = subject.metrics["cutoff_A"]
    covered = figures.covered(structures, cutoff, zero)
    coverage = [figures.distance_histogram(subject.coverage, pair, cutoff) for pair in subject.coverage.counts]
    if len(subject.coverage.compositions) > 1:
        coverage.append(figures.composition_bars(subject.coverage))
    environment = _environment()
    return environment.get_template("page.html.j2").render(
        subject=subject,
        level=level,
        verdict=in_words,
        findings=findings,
        limits={"energy": ENERGY_LIMITS, "force": FORCE_LIMITS},
        changed_settings=_flat(subject.changed_settings),
        warnings=data_warnings(subject),
        sides=_sides(structures),
        rows=[_row(structures, group.name, group.colour, group.kinds) for group in groups],
        all_rows=[_row(structures, name, "", (number,)) for number, name in enumerate(structures.kind_names)]
        if len(groups) < len(structures.kind_names)
        else [],
        errors=clouds,
        covered=covered,
        coverage=coverage,
        learning=figures.learning_curves(subject.metrics),
        rounds=rounds_figures(subject.learned),
        ended=STOP_REASONS.get(subject.learned.get("ended", ""), ""),
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
    environment.filters["three_digits"] = three_digits
    environment.filters["percent"] = percent
    return environment


def _read(environment: Environment, name: str) -> Markup:
    """Return a file of the package that is inserted without escaping."""
    assert environment.loader is not None
    return Markup(environment.loader.get_source(environment, name)[0])


def _sides(structures: Structures) -> list[tuple[str, Errors]]:
    """Return the errors at the top of the page: test and train, and with duplicates also the test errors including them."""
    train, unseen = ~structures.is_test, structures.is_unseen
    masks = [("test", unseen), ("train", train)]
    if structures.repeats_train.any():
        masks.insert(1, ("test, with structures that equal training structures", structures.is_test))
    return [(name, errors) for name, mask in masks if (errors := error_statistics(structures, mask)) is not None]


def _row(structures: Structures, name: str, colour: str, kinds: Sequence[int]) -> Row:
    own = np.isin(structures.kinds, kinds)
    train, test = (error_statistics(structures, own & side) for side in (~structures.is_test, structures.is_unseen))
    return Row(name, colour, int(own.sum()), train, test)


def _flat(content: Any, prefix: str = "") -> dict[str, str]:
    """Return nested settings as a flat dictionary with dotted keys."""
    if isinstance(content, dict) and content:
        return {
            key: text
            for name, item in content.items()
            for key, text in _flat(item, f"{prefix}.{name}".lstrip(".")).items()
        }
    if isinstance(content, dict):
        return {}
    return {prefix: _in_words(content)}


def _in_words(value: Any) -> str:
    """Return a value of the settings as text: the items of a list, the keys and values of a mapping."""
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_in_words(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ("; " if any(isinstance(item, dict) for item in value) else ", ").join(map(_in_words, value))
    return str(value)


def _left_out(subject: Subject) -> list[OmittedStructures]:
    """Return the failed labels and the structures that curation rejected, by reason."""
    by_reason: dict[str, list[dict[str, str]]] = defaultdict(list)
    for failure in subject.oracle.get("failed", []):
        by_reason[f"failed label: {failure['kind'].replace('_', ' ')}"].append(
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
                "where": _source(rejection.get("location"), rejection["source_uuid"], rejection["source_step"]),
            }
        )
    found = [OmittedStructures(reason, len(listed), listed[:MAX_LISTED]) for reason, listed in by_reason.items()]
    return sorted(found, key=lambda item: -item.count)


def _worst(structures: Structures) -> list[dict[str, str]]:
    """Return the structures with the largest errors of forces or energies, sorted by the error of forces."""
    orders = [np.argsort(-structures.force_rmse), np.argsort(-np.abs(structures.energy_error))]
    worst = list(dict.fromkeys(np.stack(orders, axis=1).ravel().tolist()))[:WORST]
    worst.sort(key=lambda index: -structures.force_rmse[index])
    return [
        {
            "kind": structures.kind_names[structures.kinds[index]],
            "formula": structures.formula_names[structures.formula[index]],
            "set": _set_of(structures, index),
            "energy": three_digits(structures.energy_error[index]),
            "force": three_digits(structures.force_rmse[index]),
            "largest": three_digits(structures.force_largest_error[index]),
            "where": where_from(structures, index),
            "short": _UUID.sub(r"\1", where_from(structures, index)),
        }
        for index in worst
    ]


def _set_of(structures: Structures, index: int) -> str:
    if structures.repeats_train[index]:
        return "test, equals a training structure"
    return "test" if structures.is_test[index] else "train"


def where_from(structures: Structures, index: int) -> str:
    """Return the calculation that labelled a structure; for labels from a file, its name and the frame."""
    calculation = structures.calculation_uuids[structures.calculation[index]]
    if calculation:
        return f"calculation {calculation}"
    uuid, step = structures.source_uuids[structures.source[index]], int(structures.source_step[index])
    return _source(structures.locations[index], uuid, step)


def _source(location: str | None, uuid: str, step: int) -> str:
    """Return file and frame of a structure, else its trajectory and step."""
    return location or (f"trajectory {uuid}, step {step}" if uuid else "unknown")


def _data(structures: Structures, groups: Sequence[Group], drawn: Sequence[Figure]) -> Markup:
    """Return the data that the browser draws, as JSON that is safe in a script element."""
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
        "locations": structures.locations if any(structures.locations) else [],
        "structures": {
            "kind": structures.kinds.tolist(),
            "test": structures.is_test.astype(int).tolist(),
            "repeats": structures.repeats_train.astype(int).tolist(),
            "formula": structures.formula.tolist(),
            "atoms": structures.n_atoms.tolist(),
            "energy": _rounded(structures.energy_reference),
            "energyError": _rounded(structures.energy_error, 9),
            "forceError": _rounded(structures.force_rmse, 9),
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
    # Escaped, so that no text in the data can close the script element.
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def _cloud(cloud: Cloud) -> dict[str, Any]:
    return {"x": cloud.points[0], "y": cloud.points[1], "density": cloud.density}


def _rounded(values: np.ndarray, digits: int = 4) -> list[float]:
    return [float(f"{value:.{digits}g}") for value in values.tolist()]
