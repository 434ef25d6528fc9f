"""What `mlip-auto setup` is told: services, a computer, a program on it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, NonNegativeFloat, PositiveFloat, PositiveInt, SecretStr, field_validator

from .base import Settings
from .resources import ResourcesConfig

Port = Annotated[int, Field(ge=1, le=65535)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]
"""A name that is safe as a word of a command and as a heading of a file."""


def _as_secret(value: Any) -> Any:
    """Take what YAML made of a password: a number is one too, and must not appear in an error."""
    return value if value is None or isinstance(value, SecretStr) else SecretStr(str(value))


Secret = Annotated[SecretStr | None, BeforeValidator(_as_secret)]


class PostgresConfig(Settings):
    """An empty database on a PostgreSQL server, and the role that owns it."""

    host: str = Field(default="localhost", min_length=1)
    """Where the server listens."""

    port: Port = 5432
    """Its port."""

    user: Name = "aiida"
    """Role that owns the database."""

    database: Name = "aiida"
    """Name of the database."""

    password: Secret = None
    """Password of the role; asked for if empty. With it, only you may be able to read the file."""


class RabbitmqConfig(Settings):
    """A RabbitMQ server."""

    protocol: Literal["amqp", "amqps"] = "amqp"
    """`amqps` for a connection that is encrypted."""

    host: str = Field(default="127.0.0.1", min_length=1)
    """Where the server listens."""

    port: Port = 5672
    """Its port."""

    user: Name = "guest"
    """User of the server."""

    virtual_host: str = ""
    """Virtual host; the server's default if empty."""

    password: Secret = None
    """Password of the user; asked for if empty. With it, only you may be able to read the file."""


class ProfileConfig(Settings):
    """An AiiDA profile: embedded, with no services, unless it is given some."""

    name: Name = "mlip-auto"
    """Name of the profile."""

    email: str = Field(default="aiida@localhost", min_length=3)
    """Who you are in the database."""

    postgres: PostgresConfig | None = None
    """Keep the data on PostgreSQL; in a file of SQLite if empty."""

    rabbitmq: RabbitmqConfig | None = None
    """Give runs to the daemon by RabbitMQ; by a broker that the daemon starts itself if empty."""


class ComputerConfig(Settings):
    """A computer that is reached by SSH and runs jobs by a scheduler."""

    label: Name
    """What it is called in AiiDA, in `resources`, and in ~/.ssh/config."""

    host: str = Field(pattern=r"^[A-Za-z0-9_:][A-Za-z0-9_.:-]*$")
    """Name or address of its login node."""

    user: Name | None = None
    """Your name there; what ~/.ssh/config says if empty."""

    port: Port | None = None
    """Port of its SSH server; what ~/.ssh/config says, or 22, if empty."""

    key: Path | None = None
    """File of your private key, which only you may be able to read; what ~/.ssh/config says if empty."""

    work_folder: str = Field(pattern=r"^/[^\s'\"]*$")
    """Folder for the files of jobs, seen by all its nodes; `{username}` stands for your name there."""

    scheduler: Literal["slurm", "pbspro", "torque", "sge", "lsf", "direct", "hyperqueue"] = "slurm"
    """Its scheduler; `direct` for none; `hyperqueue` for jobs packed into allocations (`pip install aiida-hyperqueue`)."""

    queue: str | None = Field(default=None, min_length=1)
    """Queue or partition of jobs that name none."""

    account: str | None = Field(default=None, min_length=1)
    """Account of jobs that name none."""

    environment: str = ""
    """Shell lines before every job there, such as `module load ...` or `source venv/bin/activate`. They run as you, there."""

    mpirun: list[str] = ["srun", "-n", "{tot_num_mpiprocs}"]
    """How a program is started on several cores (pw.x)."""

    cores: PositiveInt = 1
    """Cores of a node."""

    safe_interval: NonNegativeFloat = 10.0
    """Seconds between two logins."""

    poll_interval: NonNegativeFloat = 30.0
    """Seconds between two questions to the scheduler about jobs."""

    @field_validator("key")
    @classmethod
    def _from_home(cls, key: Path | None) -> Path | None:
        return None if key is None else key.expanduser().absolute()


class PwCodeConfig(Settings):
    """pw.x on a computer."""

    computer: Name
    """Label of an AiiDA computer."""

    label: Name = "pw"
    """Name of the code; give another version of pw.x another name."""

    executable: str = Field(min_length=1, pattern=r"^[^\s'\"]+$")
    """Path of pw.x there, or its name if the environment finds it."""

    environment: str = ""
    """Shell lines before it, beyond the computer's own. They run as you, there."""


class CheckConfig(Settings):
    """How a computer is tried out."""

    wait: PositiveFloat = 900.0
    """Seconds to wait for a job, in the queue and running."""

    walltime: PositiveInt = 600
    """Walltime (s) of the jobs, if no config says another."""

    def resources(self, computer: str) -> ResourcesConfig:
        """Return the resources of the jobs, if no config says others."""
        return ResourcesConfig(computer=computer, cores=1, walltime=self.walltime)
