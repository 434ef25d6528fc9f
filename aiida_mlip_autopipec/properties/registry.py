"""The properties by name: those of this package, of files of the user, and of other packages by entry point."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Sequence
from pathlib import Path

from ..config.errors import UserError
from ..config.extensions import find_extensions
from ..config.read import parse_settings
from ..config.schemas.properties import PropertiesConfig
from .model import Property

ENTRY_POINTS = "mlip_autopipec.properties"

_BUILT_IN = {
    "lattice": "lattice:Lattice",
    "elastic": "elastic:Elastic",
    "phonons": "phonons:Phonons",
    "thermal_expansion": "thermal:ThermalExpansion",
    "thermal_conductivity": "conductivity:ThermalConductivity",
    "defects": "defects:Defects",
    "migration": "migration:Migration",
    "stacking_fault": "stacking_fault:StackingFault",
    "surfaces": "surfaces:Surfaces",
    "hull": "hull:Hull",
    "liquid": "liquid:Liquid",
    "melting": "melting:Melting",
}


def chosen_properties(config: PropertiesConfig) -> list[Property]:
    """Return the properties that the settings name, with their settings. Those of the user replace built-in ones.

    :raises UserError: if a name is unknown, a file has no property, or settings are wrong.
    """
    known = properties_in_files(config.own)
    return [_with_settings(_find(name, known), config) for name in config.properties]


def properties_in_files(files: Sequence[str]) -> dict[str, type[Property]]:
    """Return the properties that Python files define, by name. The files are run.

    :raises UserError: if a file cannot be run, or defines no property.
    """
    found: dict[str, type[Property]] = {}
    for number, file in enumerate(files):
        path = Path(file).expanduser()
        try:
            spec = importlib.util.spec_from_file_location(f"mlip_own_properties_{number}", path)
            if spec is None or spec.loader is None:
                raise ImportError("the name must end in .py")
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        except Exception as error:  # the file of the user can raise anything
            raise UserError(f"own: {path} cannot be run: {type(error).__name__}: {error}") from error
        own = [value for value in vars(module).values() if _is_property(value) and value.__module__ == module.__name__]
        if not own:
            raise UserError(f"own: {path} defines no subclass of aiida_mlip_autopipec.properties.model.Property")
        found |= {each.name: each for each in own}
    return found


def _find(name: str, known: dict[str, type[Property]]) -> type[Property]:
    if name in known:
        return known[name]
    if name in _BUILT_IN:
        module, _, attribute = _BUILT_IN[name].partition(":")
        return getattr(importlib.import_module(f".{module}", __package__), attribute)
    others = {point.name: point for point in find_extensions(ENTRY_POINTS)}
    if name not in others:
        allowed = ", ".join([*_BUILT_IN, *known, *others])
        raise UserError(f"properties: {name!r:.80} is unknown; allowed: {allowed}")
    return others[name].load()


def _with_settings(found: type[Property], config: PropertiesConfig) -> Property:
    section = getattr(config, found.name) if found.name in _BUILT_IN else None
    # A property of the user that replaces a built-in one has settings of its own, unless it inherits from it.
    if found.Settings is type(section):
        return found(section)
    return found(parse_settings(found.Settings, config.settings.get(found.name, {}), f"settings.{found.name}"))


def _is_property(value: object) -> bool:
    return inspect.isclass(value) and issubclass(value, Property) and not inspect.isabstract(value)
