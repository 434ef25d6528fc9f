"""Where a stage runs and what it may use."""

from __future__ import annotations

from typing import Any

from pydantic import Field, PositiveInt

from .base import Settings


class ResourcesConfig(Settings):
    """Computer and scheduler options of the jobs of one stage."""

    computer: str = "localhost"
    """Label of an AiiDA computer (`verdi computer list`)."""

    machines: PositiveInt = 1
    """Number of nodes of a job."""

    cores: PositiveInt | None = None
    """Cores of a job; the scheduler's default if empty."""

    walltime: PositiveInt | None = None
    """Longest time of a job, in seconds; the scheduler's default if empty."""

    memory_mb: PositiveInt | None = None
    """Memory of a job, in MB; the scheduler's default if empty."""

    queue: str | None = Field(default=None, min_length=1)
    """Queue or partition; the computer's or the scheduler's default if empty."""

    account: str | None = Field(default=None, min_length=1)
    """Account to charge; the computer's or the scheduler's default if empty."""

    qos: str | None = Field(default=None, min_length=1)
    """Quality of service; the scheduler's default if empty."""

    scheduler_lines: list[str] = Field(default_factory=list)
    """Further lines for the scheduler, such as `#SBATCH --gres=gpu:1`."""

    prepend_text: str = ""
    """Shell lines before the job, such as `module load ...` or `source venv/bin/activate`. They run as you, there."""

    def options(self) -> dict[str, Any]:
        """Return the `metadata.options` of an AiiDA CalcJob; what is not set is left to the computer."""
        resources = {"num_machines": self.machines, "num_mpiprocs_per_machine": 1, "num_cores_per_mpiproc": self.cores}
        options = {
            "resources": {key: value for key, value in resources.items() if value is not None},
            "withmpi": False,
            "max_wallclock_seconds": self.walltime,
            "max_memory_kb": self.memory_mb and self.memory_mb * 1024,
            "queue_name": self.queue,
            "account": self.account,
            "qos": self.qos,
            "custom_scheduler_commands": "\n".join(self.scheduler_lines) or None,
            "prepend_text": self.prepend_text,
        }
        return {key: value for key, value in options.items() if value is not None}
