"""Changes of a YAML file that keep its comments."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap


def with_values(text: str, values: Mapping[str, Any]) -> str:
    """Return YAML with other values, merged key by key into mappings; comments and all other values stay.

    :param text: YAML of a mapping, which :func:`~.read.read_yaml` accepts.
    """
    editor = YAML()
    editor.preserve_quotes = True
    editor.width = 10**6
    content = editor.load(text)
    _merge(content, values)
    changed = io.StringIO()
    editor.dump(content, changed)
    return changed.getvalue()


def _merge(content: CommentedMap, values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if isinstance(value, Mapping) and isinstance(content.get(key), CommentedMap):
            _merge(content[key], value)
        else:
            content[key] = dict(value) if isinstance(value, Mapping) else value
