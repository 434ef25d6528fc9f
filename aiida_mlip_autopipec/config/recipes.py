"""Recipes: what a code or a foundation model needs besides its name, so that `oracle.calculator: NAME` alone labels structures.

A recipe holds defaults only: the settings of a config have precedence. Recipes are found by entry points of the group
:data:`GROUP`, whose name is that of the calculator and whose object is a :class:`Recipe`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from .cutoff import Cutoff
from .errors import UserError
from .extensions import find_extensions

GROUP = "aiida_mlip_autopipec.recipes"
"""Group of the entry points of recipes."""

Level = Literal["fast", "balanced", "stringent"]
Kind = Literal["bulk", "slab", "cluster", "atom"]

LEVELS: tuple[Level, ...] = ("fast", "balanced", "stringent")


def no_parameters(elements: Sequence[str], level: Level) -> Mapping[str, Any]:
    """Return no keyword arguments, for a recipe whose defaults do not depend on the elements."""
    return {}


def no_weights(parameters: Mapping[str, Any]) -> Sequence[str]:
    """Return no files, for a calculator without weights."""
    return ()


@dataclass(frozen=True)
class Recipe:
    """Defaults of a calculator, and what identifies it.

    :param title: name of the code or model and, for the header of a config, what it needs.
    :param parameters: keyword arguments of the calculator.
    :param levels: keyword arguments that set the accuracy, by level.
    :param by_kind: keyword arguments by kind of structure.
    :param spin: keyword arguments that a run with magnetic elements has in addition.
    :param kpoints: distance between k-points (1/Å) by level.
    :param settings: other settings of the oracle, such as `vacuum` and `structures_per_job`.
    :param for_elements: returns keyword arguments that depend on the elements of a run, at a level.
    :param packages: Python packages whose versions belong to the identity of the labels, by the name with which they are
        imported; if empty, the package of the calculator.
    :param weights: returns the files with the weights for keyword arguments, as `PACKAGE:PATTERN` below an installed package or
        as a path; patterns may have `*`.
    :param version: arguments with which the code prints its version, and a regular expression whose group is the version.
    :param cutoff: keyword argument that `mlip-auto converge` varies.
    :param example: settings of a config by `mlip-auto init`, besides those above.
    """

    title: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    levels: Mapping[Level, Mapping[str, Any]] = field(default_factory=dict)
    by_kind: Mapping[Kind, Mapping[str, Any]] = field(default_factory=dict)
    spin: Mapping[str, Any] = field(default_factory=dict)
    kpoints: Mapping[Level, float] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    for_elements: Callable[[Sequence[str], Level], Mapping[str, Any]] = no_parameters
    packages: Sequence[str] = ()
    weights: Callable[[Mapping[str, Any]], Sequence[str]] = no_weights
    version: tuple[Sequence[str], str] | None = None
    cutoff: Cutoff | None = None
    example: Mapping[str, Any] = field(default_factory=dict)


def recipe_names() -> list[str]:
    """Return the names of the installed recipes."""
    return sorted({entry.name for entry in find_extensions(GROUP)})


def find_recipe(name: str) -> Recipe | None:
    """Return the recipe of a calculator, or None if there is none.

    :raises UserError: if its package cannot be imported.
    """
    for entry in (entry for entry in find_extensions(GROUP) if entry.name == name):
        try:
            recipe = entry.load()
        except Exception as error:
            raise UserError(f"the recipe '{name}' ({entry.value}) cannot be imported: {error}") from error
        if not isinstance(recipe, Recipe):
            raise UserError(f"the recipe '{name}': {entry.value} is not a {Recipe.__name__}")
        return recipe
    return None
