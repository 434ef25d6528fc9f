"""Settings of `mlip-auto setup`: services, a computer, pw.x on it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr, field_validator

from .base import NonNegativeFloat, PositiveFloat, PositiveInt, SchedulerName, ShellLines, StrictSettings

Port = Annotated[int, Field(ge=1, le=65535)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]
"""A name that is safe in a shell command and in ~/.ssh/config."""


def _as_secret(value: Any) -> Any:
    """Return a password from YAML as a secret; a number is valid too, and must not appear in error messages."""
    return value if value is None or isinstance(value, SecretStr) else SecretStr(str(value))


Secret = Annotated[SecretStr | None, BeforeValidator(_as_secret)]


class PostgresConfig(StrictSettings):
    """An empty database on a PostgreSQL server, and the role that owns it."""

    host: str = Field(default="localhost", min_length=1)
    """Host of the server."""

    port: Port = 5432
    """Port of the server."""

    user: Name = "aiida"
    """Role that owns the database."""

    database: Name = "aiida"
    """Name of the database."""

    password: Secret = None
    """Password of the role; prompted for if empty. A file with a password must be readable only by you."""


class RabbitmqConfig(StrictSettings):
    """A RabbitMQ server."""

    protocol: Literal["amqp", "amqps"] = "amqp"
    """`amqps` for an encrypted connection."""

    host: str = Field(default="127.0.0.1", min_length=1)
    """Host of the server."""

    port: Port = 5672
    """Port of the server."""

    user: Name = "guest"
    """User of the server."""

    virtual_host: str = ""
    """Virtual host; the server's default if empty."""

    password: Secret = None
    """Password of the user; prompted for if empty. A file with a password must be readable only by you."""


class ProfileConfig(StrictSettings):
    """An AiiDA profile; by default embedded, without services."""

    name: Name = "mlip-auto"
    """Name of the profile."""

    email: str = Field(default="aiida@localhost", min_length=3)
    """Your e-mail address in the database."""

    postgres: PostgresConfig | None = None
    """PostgreSQL database; if empty, data are in an SQLite file."""

    rabbitmq: RabbitmqConfig | None = None
    """RabbitMQ server as message broker; if empty, the daemon starts a broker itself."""


class ComputerConfig(StrictSettings):
    """A computer that is reached by SSH and runs jobs by a scheduler."""

    label: Name
    """Label of the computer in AiiDA, in `resources`, and in ~/.ssh/config."""

    host: str = Field(pattern=r"^[A-Za-z0-9_:][A-Za-z0-9_.:-]*$")
    """Name or address of the login node."""

    user: Name | None = None
    """Your user name on the computer; if empty, that of ~/.ssh/config."""

    port: Port | None = None
    """Port of the SSH server; if empty, that of ~/.ssh/config, or 22."""

    key: Path | None = None
    """File of your private key, readable only by you; if empty, that of ~/.ssh/config."""

    work_folder: str = Field(pattern=r"^/[^\s'\"`$;&|<>\\]*$")
    """Folder for the files of jobs, accessible from all nodes of the computer; `{username}` is replaced by your user name."""

    scheduler: Literal["slurm", "pbspro", "torque", "sge", "lsf", "direct", "hyperqueue"] = "slurm"
    """Scheduler of the computer; `direct` if it has none; `hyperqueue` to run many jobs inside a few allocations
    (`pip install 'aiida-mlip-autopipec[hyperqueue]'`)."""

    queue: SchedulerName | None = None
    """Default queue or partition of jobs."""

    account: SchedulerName | None = None
    """Default account of jobs."""

    environment: ShellLines = ""
    """Shell lines before every job, such as `module load ...` or `source venv/bin/activate`. They run on this computer
    under your account."""

    mpirun: list[str] = ["srun", "-n", "{tot_num_mpiprocs}"]
    """Command that starts an MPI program: pw.x, or the code of an ASE calculator."""

    cores: PositiveInt = 1
    """Number of cores of a node."""

    safe_interval: NonNegativeFloat = 10.0
    """Minimum interval between two logins, in seconds."""

    poll_interval: NonNegativeFloat = 30.0
    """Minimum interval between two queries of the scheduler, in seconds."""

    @field_validator("key")
    @classmethod
    def _from_home(cls, key: Path | None) -> Path | None:
        return None if key is None else key.expanduser().absolute()


class PwCodeConfig(StrictSettings):
    """pw.x on a computer."""

    computer: Name
    """Label of an AiiDA computer."""

    label: Name = "pw"
    """Name of the code; different versions of pw.x need different names."""

    executable: str = Field(min_length=1, pattern=r"^[^\s'\"`$;&|<>\\]+$")
    """Path of pw.x on the computer, or its name if it is on the PATH."""

    environment: ShellLines = ""
    """Shell lines before pw.x, in addition to those of the computer. They run on the computer under your
    account."""


class CheckConfig(StrictSettings):
    """Settings of `mlip-auto setup check`."""

    wait: PositiveFloat = 900.0
    """Maximum time to wait for a job, queued or running, in seconds."""

    walltime: PositiveInt = 600
    """Walltime of the jobs, in seconds, if no config sets it."""
