"""The settings of an ASE calculator, completed by its recipe; without AiiDA."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..config.errors import UserError
from ..config.recipes import Kind, Level, Recipe, find_recipe
from ..config.schemas.oracle import KPOINTS_KEYWORD, MAGNETIC_ELEMENTS, STRUCTURES_PER_JOB, AseOracleConfig

DEFAULT_LEVEL: Level = "balanced"

SPECIES_DEFAULTS = {"fast": "light", "balanced": "intermediate", "stringent": "tight"}
"""What `{level}` in a path among the parameters stands for: the names of the species defaults of FHI-aims."""


def complete(config: AseOracleConfig, elements: Sequence[str]) -> AseOracleConfig:
    """Return settings with the defaults of the recipe of the calculator where nothing is set.

    Settings that are complete do not change.

    :raises UserError: if the recipe cannot be used, or a level is given to a calculator without levels.
    """
    recipe = find_recipe(config.calculator)
    if config.level is not None and (recipe is None or not recipe.levels):
        raise UserError(f"oracle.level: the calculator '{config.calculator}' has no levels; set its parameters")
    if recipe is None:
        return config.model_copy(
            update={
                "kpoints_keyword": config.kpoints_keyword or KPOINTS_KEYWORD,
                "structures_per_job": config.structures_per_job or STRUCTURES_PER_JOB,
            }
        )
    defaults = {"kpoints_keyword": KPOINTS_KEYWORD, "structures_per_job": STRUCTURES_PER_JOB, **recipe.settings}
    settings = {name: value for name, value in defaults.items() if getattr(config, name) in (None, {})}
    keyword = config.kpoints_keyword or defaults["kpoints_keyword"]
    level = config.level or DEFAULT_LEVEL
    if config.kpoints_distance is None and keyword not in config.parameters and recipe.kpoints:
        settings["kpoints_distance"] = recipe.kpoints[level]
    settings["parameters"] = _parameters(config, recipe, elements)
    settings["parameters_by_kind"] = _by_kind(config, recipe)
    return config.model_copy(update=settings)


def _parameters(config: AseOracleConfig, recipe: Recipe, elements: Sequence[str]) -> dict[str, Any]:
    level = config.level or DEFAULT_LEVEL
    spin = {} if MAGNETIC_ELEMENTS.isdisjoint(elements) else recipe.spin
    merged: dict[str, Any] = {
        **recipe.parameters,
        **recipe.levels.get(level, {}),
        **recipe.for_elements(elements, level),
        **spin,
    }
    merged |= config.parameters
    return {
        name: value.replace("{level}", SPECIES_DEFAULTS[level]) if isinstance(value, str) else value
        for name, value in merged.items()
        if value is not None
    }


def _by_kind(config: AseOracleConfig, recipe: Recipe) -> dict[str, dict[str, Any]]:
    merged: dict[str, dict[str, Any]] = {}
    kinds: list[Kind] = list(dict.fromkeys([*recipe.by_kind, *config.parameters_by_kind]))
    for kind in kinds:
        given: Mapping[str, Any] = config.parameters_by_kind.get(kind, {})
        # What the user sets for all structures has precedence over the recipe's for one kind.
        defaults = {
            name: value for name, value in recipe.by_kind.get(kind, {}).items() if name not in config.parameters
        }
        if content := {name: value for name, value in {**defaults, **given}.items() if value is not None}:
            merged[kind] = content
    return merged
