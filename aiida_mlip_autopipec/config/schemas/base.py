"""The base of all settings models."""

from __future__ import annotations

from typing import Annotated

from ase.data import atomic_numbers
from pydantic import AfterValidator, BaseModel, ConfigDict


class Settings(BaseModel):
    """Settings that refuse unknown keys and do not change once made.

    The docstring below each field is its description: it appears in error messages, in ``mlip-auto init`` and in the
    documentation, and nowhere else is a setting described.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, use_attribute_docstrings=True)


def _known_element(symbol: str) -> str:
    if symbol == "X" or symbol not in atomic_numbers:
        raise ValueError("no chemical element; write its symbol, e.g. Cu or Si")
    return symbol


ChemicalSymbol = Annotated[str, AfterValidator(_known_element)]
