"""The annotated YAML of `mlip-auto init`: every setting with its default and description."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import yaml
from pydantic import BaseModel

_WIDTH = 100


def annotated_yaml(settings: BaseModel, notes: Mapping[str, str] | None = None) -> str:
    """Return settings as YAML, with the description of each key as a comment above it.

    :param notes: further comments, by path of the key, such as `oracle.parameters`.
    """
    return "\n".join(_lines(settings, "", "", notes or {})) + "\n"


def _lines(settings: BaseModel, indent: str, above: str, notes: Mapping[str, str]) -> list[str]:
    lines = []
    # The key `type` comes first.
    for name, field in sorted(type(settings).model_fields.items(), key=lambda item: item[0] != "type"):
        value = getattr(settings, name)
        if field.description:
            lines += _comment(field.description, indent)
        if above + name in notes:
            lines += _comment(notes[above + name], indent)
        if isinstance(value, BaseModel):
            lines += [f"{indent}{name}:", *_lines(value, indent + "  ", f"{above}{name}.", notes)]
        else:
            lines.append(f"{indent}{name}: {_inline(value)}")
        if not indent:
            lines.append("")
    return lines[:-1] if not indent else lines


def _comment(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        " ".join(text.split()),
        _WIDTH,
        initial_indent=f"{indent}# ",
        subsequent_indent=f"{indent}# ",
        break_on_hyphens=False,
    )


def _inline(value: Any) -> str:
    """Return a value as YAML on one line."""
    plain = list(value) if isinstance(value, tuple) else value
    text = yaml.safe_dump(plain, default_flow_style=True, width=10**6, sort_keys=False)
    return text.strip().removesuffix("...").strip()
