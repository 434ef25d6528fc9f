"""The allowed values of a setting as text, from its type and limits."""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

_LARGE = 1e12
"""Upper limits at or above this value only exclude infinity, and are not shown."""

_TYPES = {bool: "true or false", str: "a text", int: "a whole number", float: "a number", dict: "a section of keys"}


def expected(field: FieldInfo) -> str:
    """Return the allowed values of a field, such as `a number from 2 to 15, or 'auto'`; empty if they cannot be described."""
    return _in_words(field.annotation, field.metadata)


def _in_words(annotation: Any, metadata: Iterable[Any]) -> str:
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *more = get_args(annotation)
        return _in_words(inner, [*_flat(more), *metadata])
    if origin in (Union, types.UnionType):
        parts = [_in_words(item, metadata) for item in get_args(annotation) if item is not type(None)]
        return ", or ".join(dict.fromkeys(parts)) if all(parts) else ""
    if origin is Literal:
        *others, last = [repr(item) for item in get_args(annotation)]
        return f"{', '.join(others)} or {last}" if others else last
    kind = origin or annotation
    if kind in (list, tuple) or (isinstance(kind, type) and issubclass(kind, Sequence) and kind is not str):
        return "a list"
    if isinstance(kind, type) and issubclass(kind, BaseModel | Mapping):
        return "a section of keys"
    return f"{_TYPES[kind]}{_limits(metadata)}" if kind in _TYPES else ""


def _flat(metadata: Iterable[Any]) -> list[Any]:
    return [part for item in metadata for part in (item.metadata if isinstance(item, FieldInfo) else [item])]


def _limits(metadata: Iterable[Any]) -> str:
    """Return the limits of a number, such as ` from 2 to 15`."""
    found: dict[str, Any] = {}
    for limit in metadata:
        for kind, name in ((Ge, "ge"), (Gt, "gt"), (Le, "le"), (Lt, "lt")):
            if isinstance(limit, kind) and abs(getattr(limit, name)) < _LARGE:
                found[name] = _number(getattr(limit, name))
    if found.keys() == {"ge", "le"}:
        return f" from {found['ge']} to {found['le']}"
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    return "".join(f", {words[name]} {value}" for name, value in found.items())


def _number(value: Any) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"
