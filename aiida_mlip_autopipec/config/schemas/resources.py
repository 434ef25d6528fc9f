"""Settings of the resources of a stage."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from .base import Megabytes, PositiveInt, SchedulerLine, SchedulerName, Seconds, ShellLines, StrictSettings


class ResourcesConfig(StrictSettings):
    """Computer and scheduler options of the jobs of one stage."""

    computer: str = "localhost"
    """Label of an AiiDA computer (`verdi computer list`)."""

    machines: PositiveInt = 1
    """Number of machines (compute nodes) of a job."""

    cores: PositiveInt | None = None
    """Cores of a job; pw.x starts an MPI process on each. With several machines: for pw.x the cores of all machines together,
    for other jobs those of each machine. The computer's or the scheduler's default if empty."""

    walltime: Seconds | None = None
    """Walltime of a job, in seconds; the scheduler's default if empty, for pw.x 24 hours."""

    memory_mb: Megabytes | None = None
    """Memory of a job, in MB; the scheduler's default if empty."""

    queue: SchedulerName | None = None
    """Queue or partition; the computer's or the scheduler's default if empty."""

    account: SchedulerName | None = None
    """Account to charge; the computer's or the scheduler's default if empty."""

    qos: SchedulerName | None = None
    """Quality of service; the scheduler's default if empty."""

    scheduler_lines: list[SchedulerLine] = Field(default_factory=list)
    """Further lines for the scheduler, each beginning with #, such as `#SBATCH --gres=gpu:1`."""

    prepend_text: ShellLines = ""
    """Shell lines before the job, such as `module load ...` or `source venv/bin/activate`. They run on that computer under your
    account."""

    def options(self) -> dict[str, Any]:
        """Return the `metadata.options` of an AiiDA CalcJob, without empty settings, which the computer decides."""
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
