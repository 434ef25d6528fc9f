"""Validation of the settings of a WorkChain before anything is submitted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiida.orm import Dict
from pydantic import BaseModel


def validates(model: type[BaseModel]) -> Callable[[Dict | None, Any], str | None]:
    """Return a validator of settings, which returns an error message or None."""

    def validate(settings: Dict | None, _: Any) -> str | None:
        try:
            model.model_validate(settings.get_dict() if settings else {})
        except ValueError as error:
            return str(error)
        return None

    return validate
