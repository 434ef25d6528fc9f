"""The annotated YAML of `mlip-auto init`: every setting with its default and description."""

from __future__ import annotations

import textwrap
from typing import Any

import yaml
from pydantic import BaseModel

_WIDTH = 100


def annotated_yaml(settings: BaseModel) -> str:
    """Return settings as YAML, with the description of each key as a comment above it."""
    return "\n".join(_lines(settings, indent="")) + "\n"


def _lines(settings: BaseModel, indent: str) -> list[str]:
    lines = []
    # The key `type` comes first.
    for name, field in sorted(type(settings).model_fields.items(), key=lambda item: item[0] != "type"):
        value = getattr(settings, name)
        if field.description:
            text = " ".join(field.description.split())
            lines += textwrap.wrap(text, _WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")
        if isinstance(value, BaseModel):
            lines += [f"{indent}{name}:", *_lines(value, indent + "  ")]
        else:
            lines.append(f"{indent}{name}: {_inline(value)}")
        if not indent:
            lines.append("")
    return lines[:-1] if not indent else lines


def _inline(value: Any) -> str:
    """Return a value as YAML on one line."""
    plain = list(value) if isinstance(value, tuple) else value
    text = yaml.safe_dump(plain, default_flow_style=True, width=10**6, sort_keys=False)
    return text.strip().removesuffix("...").strip()
