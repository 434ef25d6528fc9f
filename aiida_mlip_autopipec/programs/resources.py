"""Metadata of jobs from the resources of a stage."""

from __future__ import annotations

from typing import Any

from aiida.common.exceptions import NotExistent
from aiida.orm import Computer, Dict, load_computer

from ..config.schemas.resources import ResourcesConfig

DEFAULT_WALLTIME = 24 * 3600
"""Default walltime (s) of jobs that require a walltime."""

HYPERQUEUE = "hyperqueue"
"""Scheduler of computers whose jobs are packed into allocations by HyperQueue (plugin aiida-hyperqueue)."""


def job_metadata(resources: Dict, **options: Any) -> dict[str, Any]:
    """Return the `metadata` of a CalcJob that runs a portable code.

    :param resources: a :class:`ResourcesConfig` as dictionary.
    :param options: further `metadata.options`; options that are None are ignored.
    """
    config = ResourcesConfig.model_validate(resources.get_dict())
    given = {name: value for name, value in options.items() if value is not None}
    computer = load_computer(config.computer)
    return {"computer": computer, "options": {**_options(config, computer), **given}}


def _options(config: ResourcesConfig, computer: Computer) -> dict[str, Any]:
    options = config.options()
    if computer.scheduler_type == HYPERQUEUE:
        # HyperQueue uses only cores and memory of a job; queue and account are set for its allocations.
        resources = {"num_cpus": config.cores or 1, "memory_mb": config.memory_mb}
        options["resources"] = {name: value for name, value in resources.items() if value is not None}
        for name in ("max_memory_kb", "queue_name", "account", "qos", "custom_scheduler_commands"):
            options.pop(name, None)
    return options


def limit_options(resources: Dict) -> list[str]:
    """Return the command line options of a portable program for cores and walltime (s), if these are set.

    :param resources: a :class:`ResourcesConfig` as dictionary.
    """
    config = ResourcesConfig.model_validate(resources.get_dict())
    given = {"--workers": config.cores, "--walltime": config.walltime}
    return [word for name, value in given.items() if value is not None for word in (name, str(value))]


def mpi_job_options(resources: Dict) -> dict[str, Any]:
    """Return the `metadata.options` of a CalcJob on the computer of its code, with one MPI process for each core."""
    config = ResourcesConfig.model_validate(resources.get_dict())
    processes = max(1, (config.cores or 1) // config.machines)
    return {
        **config.options(),
        "resources": {"num_machines": config.machines, "num_mpiprocs_per_machine": processes},
        "withmpi": config.machines * processes > 1,
        # AiiDA's restarts require it, and pw.x stops in time because of it.
        "max_wallclock_seconds": config.walltime or DEFAULT_WALLTIME,
    }


def parallel_options(resources: Dict, processes: int, threads: int | None, withmpi: bool | None) -> dict[str, Any]:
    """Return `metadata.options` of a job whose program starts a parallel code itself.

    :param resources: a :class:`ResourcesConfig` as dictionary; its cores have precedence.
    :param withmpi: whether the code is started by `mpirun`; if None, only with more than one process.
    :returns: `resources`, `environment_variables` and `mpirun`, the computer's words with the numbers filled in; without what
        is not set.
    """
    config = ResourcesConfig.model_validate(resources.get_dict())
    computer = load_computer(config.computer)
    options: dict[str, Any] = {}
    if threads is not None:
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        options["environment_variables"] = {name: str(threads) for name in names}
    if config.cores is None and processes * (threads or 1) > 1:
        cores = config.model_copy(update={"cores": max(1, processes * (threads or 1) // config.machines)})
        options["resources"] = _options(cores, computer)["resources"]
    if withmpi or (withmpi is None and processes > 1):
        numbers = {
            "tot_num_mpiprocs": processes,
            "num_machines": config.machines,
            "num_mpiprocs_per_machine": max(1, processes // config.machines),
        }
        options["mpirun"] = [word.format(**numbers) for word in computer.get_mpirun_command()]
    return options


def validate_resources(resources: Dict | None, _: Any) -> str | None:
    """Validate the resources of a stage before anything is submitted; return an error message or None."""
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
            f"there is no computer '{config.computer}': see `verdi computer list`; create it by "
            "`mlip-auto setup computer`"
        )
    if not computer.is_configured:
        return f"computer '{config.computer}' is not configured: run `verdi computer configure`"
    return None
