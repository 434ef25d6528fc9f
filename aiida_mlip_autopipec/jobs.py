"""From a stage's resources to the metadata of its jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiida.common.exceptions import NotExistent
from aiida.orm import CalcFunctionNode, Computer, Dict, load_computer
from pydantic import BaseModel

from .config.schemas.resources import ResourcesConfig

DEFAULT_WALLTIME = 24 * 3600
"""Walltime (s) of jobs that cannot do without, if the user sets none."""

HYPERQUEUE = "hyperqueue"
"""Scheduler of computers whose jobs are packed into allocations by HyperQueue (plugin aiida-hyperqueue)."""


def job_metadata(resources: Dict, **options: Any) -> dict[str, Any]:
    """Return the `metadata` of a CalcJob that runs a portable code.

    :param resources: a :class:`ResourcesConfig` as dictionary.
    :param options: further `metadata.options`; those that are None are left out.
    """
    config = ResourcesConfig.model_validate(resources.get_dict())
    given = {name: value for name, value in options.items() if value is not None}
    computer = load_computer(config.computer)
    return {"computer": computer, "options": {**_options(config, computer), **given}}


def _options(config: ResourcesConfig, computer: Computer) -> dict[str, Any]:
    options = config.options()
    if computer.scheduler_type == HYPERQUEUE:
        # It knows cores and memory; queue and account are those of its allocations.
        resources = {"num_cpus": config.cores or 1, "memory_mb": config.memory_mb}
        options["resources"] = {name: value for name, value in resources.items() if value is not None}
        for name in ("max_memory_kb", "queue_name", "account", "qos", "custom_scheduler_commands"):
            options.pop(name, None)
    return options


def limit_options(resources: Dict) -> list[str]:
    """Return the options that tell a portable program how many cores and seconds it has, if these are set.

    :param resources: a :class:`ResourcesConfig` as dictionary.
    """
    config = ResourcesConfig.model_validate(resources.get_dict())
    given = {"--workers": config.cores, "--walltime": config.walltime}
    return [word for name, value in given.items() if value is not None for word in (name, str(value))]


def link_label(filename: str) -> str:
    """Return the label under which a ShellJob puts out a file."""
    return filename.replace(".", "_")


def mpi_job_options(resources: Dict) -> dict[str, Any]:
    """Return the `metadata.options` of a CalcJob that runs by MPI, a process a core, on the computer of its code."""
    config = ResourcesConfig.model_validate(resources.get_dict())
    processes = max(1, (config.cores or 1) // config.machines)
    return {
        **config.options(),
        "resources": {"num_machines": config.machines, "num_mpiprocs_per_machine": processes},
        "withmpi": config.machines * processes > 1,
        # AiiDA's own restarts want to know it, and pw.x stops in time by it.
        "max_wallclock_seconds": config.walltime or DEFAULT_WALLTIME,
    }


def validates(model: type[BaseModel]) -> Callable[[Dict | None, Any], str | None]:
    """Return the validator of an input that holds settings: it says what is wrong with them."""

    def validate(settings: Dict | None, _: Any) -> str | None:
        try:
            model.model_validate(settings.get_dict() if settings else {})
        except ValueError as error:
            return str(error)
        return None

    return validate


def failed(function: CalcFunctionNode) -> bool:
    """Tell whether a calcfunction failed; then AiiDA's caching must not take its result for another."""
    if function.is_finished_ok:
        return False
    function.base.caching.is_valid_cache = False
    return True


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
        return f"there is no computer '{config.computer}': see `verdi computer list`, make one by `mlip-auto setup computer`"
    if not computer.is_configured:
        return f"computer '{config.computer}' is not configured: run `verdi computer configure`"
    return None
