"""From a stage's resources to the metadata of its jobs."""

from __future__ import annotations

from typing import Any

from aiida.common.exceptions import NotExistent
from aiida.orm import Dict, load_computer

from .config.schemas.resources import ResourcesConfig


def job_metadata(resources: Dict, **options: Any) -> dict[str, Any]:
    """Return the `metadata` of a CalcJob that runs a portable code.

    :param resources: a :class:`ResourcesConfig` as dictionary.
    :param options: further `metadata.options`; those that are None are left out.
    """
    config = ResourcesConfig.model_validate(resources.get_dict())
    given = {name: value for name, value in options.items() if value is not None}
    return {"computer": load_computer(config.computer), "options": {**config.options(), **given}}


def validate_resources(resources: Dict | None, _: Any) -> str | None:
    """Say what is wrong with the resources of a stage, before anything is submitted."""
    if resources is None:
        return None
    try:
        config = ResourcesConfig.model_validate(resources.get_dict())
    except ValueError as error:
        return str(error)
    try:
        computer = load_computer(config.computer)
    except NotExistent:
        return (
            f"there is no computer '{config.computer}': see `verdi computer list`, make one by `verdi computer setup`"
        )
    if not computer.is_configured:
        return f"computer '{config.computer}' is not configured: run `verdi computer configure`"
    return None
