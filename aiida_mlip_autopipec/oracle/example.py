"""The config that `mlip-auto init` writes for an oracle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml
from ase.calculators.calculator import names as ase_names

from ..config.errors import UserError, shown
from ..config.oracles import find_oracle, oracle_types
from ..config.recipes import Recipe, find_recipe, recipe_names
from ..config.schemas.oracle import EMT_ELEMENTS, AseOracleConfig, ase_oracle
from .complete import complete

PW = {"type": "quantumespresso", "pseudo_family": "SSSP/1.3/PBEsol/efficiency"}
PW_NEEDS = "Quantum ESPRESSO (pip install 'aiida-mlip-autopipec[qe]'; aiida-pseudo install sssp)"


@dataclass(frozen=True)
class Example:
    """Content of a config, further comments by key, and what its oracle is and needs."""

    content: dict[str, Any]
    notes: Mapping[str, str] = field(default_factory=dict)
    needs: str = ""


def example_config(name: str | None, elements: Sequence[str]) -> Example:
    """Return a config for an oracle.

    :param name: a recipe, an ASE calculator or the type of an oracle; if None, effective medium theory where it supports the
        elements, else pw.x.
    :param elements: if empty, those of an example.
    :raises UserError: if there is no such oracle.
    """
    if name is None:
        wanted = list(elements) or ["Cu"]
        if EMT_ELEMENTS.issuperset(wanted):
            return Example({"elements": wanted})
        return Example(
            {"elements": wanted, "oracle": PW}, needs=f"{PW_NEEDS}; for others: mlip-auto init --oracle NAME"
        )
    if name == "quantumespresso":
        return Example({"elements": list(elements) or ["Si"], "oracle": PW}, needs=PW_NEEDS)
    recipe = find_recipe(name)
    if recipe is not None:
        return _of_recipe(name, recipe, elements)
    if name in ase_names:
        return Example({"elements": list(elements) or ["Cu"], "oracle": ase_oracle(name)})
    if name in oracle_types() and name != "ase":
        model = find_oracle(name).settings
        return Example({"elements": list(elements) or ["Cu"], "oracle": {"type": name}}, needs=model.__doc__ or name)
    known = ", ".join(sorted({*recipe_names(), *oracle_types()} - {"ase"}))
    raise UserError(f"--oracle {shown(name)}: choose from {known}, or one of ASE's calculators")


def _of_recipe(name: str, recipe: Recipe, elements: Sequence[str]) -> Example:
    content = {key: value for key, value in recipe.example.items() if key not in ("elements", "oracle")}
    wanted = list(elements) or list(recipe.example["elements"])
    given = {**ase_oracle(name), **recipe.example.get("oracle", {})}
    full = complete(AseOracleConfig.model_validate(given), wanted)
    oracle = {**given, **recipe.settings}
    if recipe.levels:
        oracle["level"] = "balanced"
    notes = {}
    defaults = {key: value for key, value in full.parameters.items() if key not in given.get("parameters", {})}
    if defaults:
        notes["oracle.parameters"] = (
            f"Defaults of {name}{' at this level' if recipe.levels else ''}: {_inline(defaults)}"
        )
    if full.parameters_by_kind:
        notes["oracle.parameters_by_kind"] = f"Defaults of {name}: {_inline(full.parameters_by_kind)}"
    if full.kpoints_distance is not None:
        notes["oracle.kpoints_distance"] = f"Default of {name} at this level: {full.kpoints_distance:g}"
    return Example({**content, "elements": wanted, "oracle": oracle}, notes, recipe.title)


def _inline(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=10**6, sort_keys=False).strip()
