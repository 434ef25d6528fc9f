"""AiiDA profiles: embedded, or with PostgreSQL and RabbitMQ."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
from aiida.manage.configuration import Profile, get_config
from aiida.manage.configuration.settings import AiiDAConfigDir
from aiida.plugins import BrokerFactory
from pydantic import SecretStr

from ..config.errors import UserError
from ..config.schemas.setup import PostgresConfig, ProfileConfig, RabbitmqConfig
from ..host.profile import EMBEDDED_STORAGE, Backend, embedded_broker, exclusive_lock, make_profile
from .private import exposure_fault, make_private

AskPassword = Callable[[str], str]
"""Asks the user for the password of the named service."""

_CONNECT_SECONDS = 10
"""Maximum time (s) for PostgreSQL to answer."""


def check_secrets(settings: ProfileConfig, origin: Path) -> None:
    """Check that a file with passwords is readable only by its owner.

    :raises UserError: with a remedy, if it is not.
    """
    services = (settings.postgres, settings.rabbitmq)
    if any(service is not None and service.password is not None for service in services):
        fault = exposure_fault(origin)
        if fault is not None:
            raise UserError(f"it contains a password, and {fault}")


def setup_profile(settings: ProfileConfig, ask: AskPassword) -> Profile:
    """Test the services of a new profile, create and load it.

    :raises UserError: if a profile with this name exists, or a service cannot be used.
    """
    with exclusive_lock():
        config = get_config(create=True)
        if settings.name in config.profile_names:
            raise UserError(
                f"there is an AiiDA profile '{settings.name}' already; it is not changed. Choose another name, or see "
                f"`verdi profile show {settings.name}`"
            )
        storage = EMBEDDED_STORAGE if settings.postgres is None else _postgres(settings.name, settings.postgres, ask)
        broker = embedded_broker() if settings.rabbitmq is None else _rabbitmq(settings.rabbitmq, ask)
        try:
            profile = make_profile(settings, storage, broker)
        finally:
            protect_config()
    return profile


def config_files() -> list[Path]:
    """Return AiiDA's configuration files, which contain passwords of services, and their backups."""
    return sorted(Path(AiiDAConfigDir.get()).glob("config.json*"))


def protect_config() -> None:
    """Make AiiDA's configuration files accessible only to their owner."""
    for path in config_files():
        make_private(path)


def _postgres(name: str, settings: PostgresConfig, ask: AskPassword) -> Backend:
    service = f"PostgreSQL {settings.user}@{settings.host}:{settings.port}/{settings.database}"
    password = _password(settings.password, service, ask)
    try:
        with psycopg.connect(
            host=settings.host,
            port=settings.port,
            user=settings.user,
            password=password,
            dbname=settings.database,
            connect_timeout=_CONNECT_SECONDS,
        ) as connection:
            taken = connection.execute("SELECT to_regclass('public.db_dbnode')").fetchone()
    except psycopg.OperationalError as error:
        raise UserError(
            f"{service} cannot be used: {_one_line(error)}\n  If the role or the database is missing, on the server: "
            f"createuser --pwprompt {settings.user}; createdb --owner={settings.user} --template=template0 "
            f"--encoding=UTF8 {settings.database}"
        ) from None
    if taken is not None and taken[0] is not None:
        raise UserError(f"{service} contains the data of an AiiDA profile already; name an empty database")
    repository = Path(AiiDAConfigDir.get()) / "repository" / name
    return Backend(
        "core.psql_dos",
        {
            "database_engine": "postgresql_psycopg",
            "database_hostname": settings.host,
            "database_port": settings.port,
            "database_username": settings.user,
            "database_password": password,
            "database_name": settings.database,
            "repository_uri": repository.as_uri(),
        },
    )


def _rabbitmq(settings: RabbitmqConfig, ask: AskPassword) -> Backend:
    service = f"RabbitMQ {settings.user}@{settings.host}:{settings.port}"
    backend = Backend(
        "core.rabbitmq",
        {
            "broker_protocol": settings.protocol,
            "broker_username": settings.user,
            "broker_password": _password(settings.password, service, ask),
            "broker_host": settings.host,
            "broker_port": settings.port,
            "broker_virtual_host": settings.virtual_host,
        },
    )
    trial = Profile(
        "trial", {"storage": {}, "process_control": {"backend": backend.plugin, "config": backend.settings}}
    )
    if not BrokerFactory(backend.plugin)(trial).check_service_reachable():
        raise UserError(
            f"{service} cannot be used: check that it runs (`rabbitmq-diagnostics ping` on its machine), and that "
            f"user, password and virtual host are correct (`rabbitmqctl authenticate_user {settings.user}`, "
            "`rabbitmqctl list_permissions`)"
        )
    return backend


def _password(given: SecretStr | None, service: str, ask: AskPassword) -> str:
    return ask(service) if given is None else given.get_secret_value()


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
