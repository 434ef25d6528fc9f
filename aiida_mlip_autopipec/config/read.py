"""Reading settings from YAML, with errors that name the key, the value and what is allowed."""

from __future__ import annotations

import difflib
import re
import stat
from collections.abc import Hashable
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from .errors import MAX_VALUE_LENGTH, UserError, shown
from .expected import expected
from .oracles import InstalledOracles

SettingsModel = TypeVar("SettingsModel", bound=BaseModel)


MAX_ERRORS = 20
"""Maximum number of wrong settings in one message."""

MAX_BYTES, MAX_DEPTH, MAX_NODES = 1_000_000, 40, 100_000
"""Maximum size, nesting depth and number of values of a settings file; aliased values count each time."""


PASSWORD = "password"
"""The key whose numbers and Booleans are read as text."""

_FLOAT = "tag:yaml.org,2002:float"
_NUMBERS = {_FLOAT, "tag:yaml.org,2002:int", "tag:yaml.org,2002:bool"}


class _Loader(yaml.SafeLoader):
    """YAML loader that requires unique text keys, keeps dates and passwords as text, and reads 1e-5 as a number."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                hint = " (YAML reads No as false)" if key is False else ""
                problem = f"a key must be text, not {shown(key)}{hint}: put it in quotes"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {shown(key)} is given twice", key_node.start_mark
                )
            seen.add(key)
        mapping = super().construct_mapping(node, deep)
        for key_node, value_node in node.value:
            if key_node.value == PASSWORD and value_node.tag in _NUMBERS:
                # A number has lost leading zeros and its spelling.
                mapping[PASSWORD] = value_node.value
        return mapping


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_FLOAT, re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+\Z"), list("-+0123456789"))
for _tag in ("timestamp", "binary", "omap", "pairs", "set"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", yaml.constructor.SafeConstructor.construct_undefined)  # type: ignore[type-var]


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file.

    :raises UserError: if the file cannot be read, is too large or nested too deep, or is not a YAML mapping.
    """
    try:
        content = _parse(_read_text(path))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is not a text file in UTF-8: {error}") from error
    except (
        yaml.YAMLError,
        ValueError,
        TypeError,
        AttributeError,
        ArithmeticError,
        LookupError,
        RecursionError,
    ) as error:
        # PyYAML raises other errors for wrong conversions: `!!int ''`, `!!bool maybe`.
        raise UserError(f"{path}: is not valid YAML: {_one_line(error)}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise UserError(f"{path}: must hold keys and values, not a {type(content).__name__}")
    return content


def _one_line(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem is not None:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
        return f"{error.problem}{where}"
    if isinstance(error, yaml.YAMLError):
        return " ".join(str(error).split())
    return f"a value cannot be read ({' '.join(str(error).split())})"


def _read_text(path: Path) -> str:
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError("it is not a regular file")
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise OSError(f"it has more than {MAX_BYTES} bytes")
    return content.decode("utf-8-sig")


def _parse(text: str) -> Any:
    depth = 0
    # Events are parsed without recursion; thousands of nested lists would exceed the recursion limit later.
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise yaml.YAMLError(f"it is nested more than {MAX_DEPTH} levels deep")
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if _size(node, {}) > MAX_NODES:
            raise yaml.YAMLError(f"it has more than {MAX_NODES} values, those behind aliases counted each time")
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """Return the number of values below a node, with aliased values counted each time."""
    if id(node) not in known:
        # Set before the recursion, for a node that contains itself.
        known[id(node)] = MAX_NODES
        children = node.value if isinstance(node, yaml.CollectionNode) else []
        below = [item for child in children for item in (child if isinstance(child, tuple) else (child,))]
        known[id(node)] = min(1 + sum(_size(child, known) for child in below), 2 * MAX_NODES)
    return known[id(node)]


def parse_settings(model: type[SettingsModel], content: dict[str, Any], origin: str) -> SettingsModel:
    """Return validated settings.

    :param origin: source of the content, for the message.
    :raises UserError: with a line for each wrong key: the key, its value, and what is allowed.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        faults: dict[str, list[str]] = {}
        listed: set[str] = set()
        for detail in error.errors():
            key, message = _describe(model, content, dict(detail), listed)
            if message not in faults.setdefault(key, []):
                faults[key].append(message)
        lines = [f"  {key}: {', or '.join(messages)}".replace("  : ", "  ") for key, messages in faults.items()]
        if len(lines) > MAX_ERRORS:
            lines = [*lines[:MAX_ERRORS], f"  and {len(lines) - MAX_ERRORS} more"]
        raise UserError("\n".join([f"{origin}: these settings cannot be used:", *lines])) from error


_TYPE_AND_LIMIT_ERRORS = (
    "_type",
    "_parsing",
    "literal_error",
    "greater_than",
    "greater_than_equal",
    "less_than",
    "less_than_equal",
)
"""Endings of the names of pydantic's errors for which the message gives the allowed values of the setting instead."""


def _describe(model: type[BaseModel], content: Any, detail: dict[str, Any], listed: set[str]) -> tuple[str, str]:
    """Return the key of an error, and the message.

    :param listed: sections whose keys were listed in an earlier message; this one is added.
    """
    location, parent = _locate(model, content, detail)
    key = ".".join(
        part if len(part) <= MAX_VALUE_LENGTH else f"{part[: MAX_VALUE_LENGTH - 4]} ..." for part in location
    )
    if detail["type"] == "extra_forbidden":
        allowed = list(parent.model_fields)
        near = difflib.get_close_matches(location[-1], allowed, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        section = ".".join(location[:-1])
        keys = "" if section in listed else f" (allowed here: {', '.join(allowed)})"
        listed.add(section)
        return key, f"unknown key{hint}{keys}"
    message = str(detail["msg"]).removeprefix("Value error, ").replace("valid tuple", "list")
    if detail["type"] != "value_error":
        message = message[:1].lower() + message[1:]
    if detail["type"] == "missing":
        return key, "is required"
    if detail["type"] == "union_tag_invalid":
        return (
            f"{key}.type",
            f"{shown(detail['ctx']['tag'])} is not allowed: choose from {detail['ctx']['expected_tags']}",
        )
    if not key or (detail["type"] == "value_error" and isinstance(detail["input"], dict)):
        return key, message
    hint = ""
    if isinstance(detail["input"], bool) and detail["type"] != "bool_parsing" and location[0] == "elements":
        hint = " (YAML reads No as false, and Yes as true: write symbols in quotes, such as ['No'])"
    field = parent.model_fields.get(location[-1])
    if field is not None and detail["type"].endswith(_TYPE_AND_LIMIT_ERRORS) and (allowed_value := expected(field)):
        given = detail["input"]
        is_list = allowed_value == "a list" and isinstance(given, str | int | float) and not isinstance(given, bool)
        message = f"must be {allowed_value}" + (f": write [{given}]" if is_list else "")
    return key, f"{shown(detail['input'])} is not allowed: {message}{hint}"


def _locate(model: type[BaseModel], content: Any, detail: dict[str, Any]) -> tuple[list[str], type[BaseModel]]:
    """Return the path of keys to an error, without pydantic's names of union members, and the model of the last key."""
    keys: list[str] = []
    candidates: dict[str, type[BaseModel]] = {}
    for part in detail["loc"]:
        found = _item_at(content, part)
        if found is None and detail["type"] != "missing":
            # The name of a union member, or a name that pydantic inserts.
            if part in candidates:
                candidates = {"": candidates[part]}
            continue
        model = next(iter(candidates.values())) if len(candidates) == 1 else model
        keys.append(str(part))
        content = found[0] if found is not None else None
        candidates = _candidates(model, str(part), content)
    return keys, model


def _candidates(model: type[BaseModel], key: str, content: Any) -> dict[str, type[BaseModel]]:
    """Return the models that the value of a key may have, by tag."""
    field = model.model_fields.get(key)
    if field is None:
        return {}
    for choice in field.metadata:
        if isinstance(choice, InstalledOracles) and (chosen := choice.model_of(content)) is not None:
            return {_tag_of(chosen): chosen}
    return {_tag_of(item): item for item in _models_in(field.annotation)}


def _item_at(content: Any, part: Any) -> tuple[Any] | None:
    """Return the value at a key or an index, as a tuple of one; None if there is none."""
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
    """Return the tag of a model in a union: the default of its `type`, else its name."""
    return str(model.model_fields["type"].default) if "type" in model.model_fields else model.__name__
