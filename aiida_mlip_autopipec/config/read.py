"""Reading settings from YAML, with errors that name the key, the value and what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Hashable
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

SettingsModel = TypeVar("SettingsModel", bound=BaseModel)


class ConfigError(ValueError):
    """Settings that cannot be used; the message is for the one who wrote them."""


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML in which a key written twice is an error, not the silent loss of the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key '{key}' is given twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping a YAML file holds.

    :raises ConfigError: if the file cannot be read, is no YAML, or no mapping.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeyLoader)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not a text file: {error}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: is not valid YAML: {error}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: must hold keys and values, not a {type(content).__name__}")
    return content


def parse_settings(model: type[SettingsModel], content: dict[str, Any], origin: str) -> SettingsModel:
    """Return validated settings.

    :param origin: where the content comes from, named in the error.
    :raises ConfigError: one line for each wrong key: the key, the value given, and what is allowed.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        faults: dict[str, list[str]] = {}
        for detail in error.errors():
            key, message = _describe(model, content, dict(detail))
            faults.setdefault(key, []).append(message)
        lines = [f"  {key}: {', or '.join(messages)}".replace("  : ", "  ") for key, messages in faults.items()]
        raise ConfigError("\n".join([f"{origin}: these settings cannot be used:", *lines])) from error


def _describe(model: type[BaseModel], content: Any, detail: dict[str, Any]) -> tuple[str, str]:
    """Return the key an error is about, and what is wrong with it."""
    location, parent = _walk(model, content, detail)
    key = ".".join(location)
    if detail["type"] == "extra_forbidden":
        allowed = list(parent.model_fields)
        near = difflib.get_close_matches(location[-1], allowed, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        return key, f"unknown key{hint} (allowed here: {', '.join(allowed)})"
    message = str(detail["msg"]).removeprefix("Value error, ").replace("valid tuple", "list")
    message = message[:1].lower() + message[1:]
    if detail["type"] == "missing":
        return key, "is required"
    if detail["type"] == "union_tag_invalid":
        return f"{key}.type", f"{detail['ctx']['tag']!r} is not allowed: choose from {detail['ctx']['expected_tags']}"
    if not key or (detail["type"] == "value_error" and isinstance(detail["input"], dict)):
        return key, message
    hint = ""
    if isinstance(detail["input"], bool) and detail["type"] != "bool_parsing" and location[0] == "elements":
        hint = " (YAML reads No as false: put the symbol in quotes)"
    return key, f"{detail['input']!r} is not allowed: {message}{hint}"


def _walk(model: type[BaseModel], content: Any, detail: dict[str, Any]) -> tuple[list[str], type[BaseModel]]:
    """Return the keys that lead to an error, without pydantic's names of alternatives, and the model of the last of them."""
    keys: list[str] = []
    candidates: dict[str, type[BaseModel]] = {}
    for part in detail["loc"]:
        there = _part_of(content, part)
        if there is None and detail["type"] != "missing":
            # The name of an alternative, or of pydantic's own.
            if part in candidates:
                candidates = {"": candidates[part]}
            continue
        model = next(iter(candidates.values())) if len(candidates) == 1 else model
        keys.append(str(part))
        content = there[0] if there is not None else None
        field = model.model_fields.get(str(part))
        candidates = {} if field is None else {_tag_of(item): item for item in _models_in(field.annotation)}
    return keys, model


def _part_of(content: Any, part: Any) -> tuple[Any] | None:
    """Return what stands under a key or at an index, or None if there is no such thing."""
    if isinstance(content, dict) and part in content:
        return (content[part],)
    if isinstance(content, list | tuple) and isinstance(part, int) and part < len(content):
        return (content[part],)
    return None


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models_in(argument)]


def _tag_of(model: type[BaseModel]) -> str:
    """Return what tells a model apart in a union: the default of its `type`."""
    return str(model.model_fields["type"].default) if "type" in model.model_fields else model.__name__
