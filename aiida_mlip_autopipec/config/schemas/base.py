"""Base class of all settings models, and common types of values."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from ..errors import shown

MAX_COUNT = 1_000_000
"""Upper limit of all counts."""

MAX_NUMBER = 1e12
"""Upper limit of all real numbers."""

PositiveInt = Annotated[int, Field(ge=1, le=MAX_COUNT)]
NonNegativeInt = Annotated[int, Field(ge=0, le=MAX_COUNT)]
PositiveFloat = Annotated[float, Field(gt=0.0, le=MAX_NUMBER)]
NonNegativeFloat = Annotated[float, Field(ge=0.0, le=MAX_NUMBER)]
Seconds = Annotated[int, Field(ge=1, le=100_000_000)]
Megabytes = Annotated[int, Field(ge=1, le=1_000_000_000)]
Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]

_SCHEDULER_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+:,=/-]{0,199}")


def _is_scheduler_name(name: str) -> str:
    if not _SCHEDULER_NAME.fullmatch(name):
        raise ValueError(
            "must begin with a letter, a digit or _, followed by at most 199 letters, digits and _ . @ + : , = / -"
        )
    return name


SchedulerName = Annotated[str, AfterValidator(_is_scheduler_name)]
"""Name of a queue, an account or a quality of service; it is written into job scripts."""

_SEVERAL_LINES = "several lines"

ShellLines = Annotated[str, _SEVERAL_LINES]
"""Lines for a shell or for LAMMPS: except free-form settings, the only texts that may contain line ends and tabs."""


def _is_directive(line: str) -> str:
    if not line.startswith("#") or not line.isprintable():
        raise ValueError("each line must begin with #, such as #SBATCH; write shell commands into prepend_text")
    return line


SchedulerLine = Annotated[str, Field(max_length=1000), AfterValidator(_is_directive)]


def _is_volume_range(value: tuple[float, float]) -> tuple[float, float]:
    if not 0.4 <= value[0] < value[1] <= 3.0:
        raise ValueError("must be [smallest, largest] with 0.4 <= smallest < largest <= 3")
    return value


VolumeRange = Annotated[tuple[float, float], AfterValidator(_is_volume_range)]
"""Smallest and largest relative volume."""


class StrictSettings(BaseModel):
    """Base of settings models: unknown keys are errors, and instances are immutable.

    The docstring below each field is its only description; it appears in ``mlip-auto init`` and in the documentation.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, use_attribute_docstrings=True, allow_inf_nan=False
    )

    @model_validator(mode="before")
    @classmethod
    def _without_empty_sections(cls, data: Any) -> Any:
        """Leave out sections without keys, which YAML reads as None: they have their defaults."""
        if not isinstance(data, dict):
            return data
        return {key: value for key, value in data.items() if value is not None or not _is_section(cls, key)}

    @field_validator("*", mode="before")
    @classmethod
    def _reject_wrong_types(cls, value: Any, info: ValidationInfo) -> Any:
        """Reject booleans and quoted numbers in place of numbers, too large numbers, and control characters in texts."""
        field = cls.model_fields[str(info.field_name)]
        allowed = _types_in(field.annotation)
        if allowed & {int, float}:
            if not allowed & {bool, Any} and _any_item(value, lambda item: isinstance(item, bool)):
                raise ValueError("true and false are not numbers")
            if not allowed & {str, Any} and _any_item(value, _is_quoted_number):
                raise ValueError("write the number without quotes")
            if _any_item(value, _is_too_large):
                raise ValueError(f"a number must be between -{MAX_NUMBER:g} and {MAX_NUMBER:g}")
        # Free-form values are checked by `plain`.
        if Any in allowed:
            return value
        kept = "\n\t" if _SEVERAL_LINES in field.metadata else ""
        if _any_item(value, lambda item: _has_control_characters(item, kept)):
            raise ValueError("control characters" + ("" if kept else ", line ends and tabs") + " are not allowed")
        return value


def _is_section(model: type[BaseModel], key: Any) -> bool:
    annotation = model.model_fields[key].annotation if key in model.model_fields else None
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _types_in(annotation: Any) -> set[Any]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        # A nested model validates its own fields.
        return {Any}
    arguments = get_args(annotation)
    return {annotation} | {found for argument in arguments for found in _types_in(argument)}


def _any_item(value: Any, is_wrong: Callable[[Any], bool]) -> bool:
    """Return whether a value, or any value in a list or mapping, satisfies `is_wrong`."""
    if isinstance(value, dict):
        return _any_item([*value, *value.values()], is_wrong)
    return any(_any_item(item, is_wrong) for item in value) if isinstance(value, list | tuple) else is_wrong(value)


def _is_quoted_number(value: Any) -> bool:
    try:
        return isinstance(value, str) and float(value) is not None
    except ValueError:
        return False


def _is_too_large(value: Any) -> bool:
    # Integers such as seeds, of up to 63 bits, have their own limits.
    return isinstance(value, float) and math.isfinite(value) and abs(value) > MAX_NUMBER


def _has_control_characters(value: Any, kept: str = "") -> bool:
    """Return whether a text contains control characters, or lone surrogates, which no database stores."""
    text = str(value) if isinstance(value, str | Path) else ""
    return any(unicodedata.category(char) in ("Cc", "Cs") and char not in kept for char in text)


def plain(value: Any, where: str = "", depth: int = 0) -> Any:
    """Return free-form settings, which must be valid JSON: text keys, finite numbers, text, lists, true, false, null.

    :raises ValueError: naming the place of an invalid value.
    """
    if depth > 20:
        raise ValueError(f"{where}: nested more than 20 levels deep")
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str) or _has_control_characters(key):
                raise ValueError(f"{where or 'here'}: the key {shown(key)} must be text without control characters")
        return {key: plain(item, f"{where}.{key}".strip("."), depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, f"{where}[{index}]", depth + 1) for index, item in enumerate(value)]
    if isinstance(value, str) and _has_control_characters(value, kept="\n\t"):
        raise ValueError(f"{where}: {shown(value)} is not allowed: it contains control characters")
    if isinstance(value, int) and abs(value) >= 2**63:
        raise ValueError(f"{where}: {shown(value)} is not allowed: a whole number must have at most 63 bits")
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise ValueError(
        f"{where}: {shown(value)} is not allowed: use finite numbers, text, true, false, lists and mappings"
    )


def _known_element(symbol: str) -> str:
    from ase.data import atomic_numbers

    if symbol == "X" or symbol not in atomic_numbers:
        near = symbol.strip().capitalize()
        hint = f"did you mean {near}?" if near in atomic_numbers and near != "X" else "write its symbol, e.g. Cu or Si"
        several = [part for part in re.split(r"[\s,;-]+", symbol) if part in atomic_numbers and part != "X"]
        if len(several) > 1:
            hint = f"give each element by itself: [{', '.join(several)}], or --element {' --element '.join(several)}"
        raise ValueError(f"not a chemical element; {hint}")
    return symbol


ChemicalSymbol = Annotated[str, AfterValidator(_known_element)]
