"""AiiDA profiles: embedded, or on PostgreSQL and RabbitMQ."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
from aiida.manage.configuration import Profile, get_config
from aiida.manage.configuration.settings import AiiDAConfigDir
from aiida.plugins import BrokerFactory
from pydantic import SecretStr

from ..config.read import ConfigError
from ..config.schemas.setup import PostgresConfig, ProfileConfig, RabbitmqConfig
from ..environment import EMBEDDED_STORAGE, Backend, alone, embedded_broker, make_profile
from .private import exposure, make_private

AskPassword = Callable[[str], str]
"""Asks the user for the password of what is named."""

_CONNECT_SECONDS = 10


def check_secrets(settings: ProfileConfig, origin: Path) -> None:
    """Refuse a file with passwords that others can read.

    :raises ConfigError: saying how to mend it.
    """
    services = (settings.postgres, settings.rabbitmq)
    if any(service is not None and service.password is not None for service in services):
        fault = exposure(origin)
        if fault is not None:
            raise ConfigError(f"it holds a password, and {fault}")


def setup_profile(settings: ProfileConfig, ask: AskPassword) -> Profile:
    """Make a profile, its services tried first, and load it; an existing one is left as it is.

    :raises ConfigError: if there is one of that name, or a service cannot be used.
    """
    with alone():
        config = get_config(create=True)
        if settings.name in config.profile_names:
            raise ConfigError(
                f"there is an AiiDA profile '{settings.name}' already; it is left as it is. Choose another name, or see "
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
    """Return the files in which AiiDA keeps its settings, passwords of services among them, and copies of them."""
    return sorted(Path(AiiDAConfigDir.get()).glob("config.json*"))


def protect_config() -> None:
    """Take AiiDA's settings from all but their owner."""
    for path in config_files():
        make_private(path)


def _postgres(name: str, settings: PostgresConfig, ask: AskPassword) -> Backend:
    what = f"PostgreSQL {settings.user}@{settings.host}:{settings.port}/{settings.database}"
    password = _password(settings.password, what, ask)
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
        raise ConfigError(
            f"{what} cannot be used: {_one_line(error)}\n  If role or database are missing, on the server: "
            f"createuser --pwprompt {settings.user}; createdb --owner={settings.user} --template=template0 "
            f"--encoding=UTF8 {settings.database}"
        ) from None
    if taken is not None and taken[0] is not None:
        raise ConfigError(f"{what} holds the data of an AiiDA profile already; it is left as it is: name an empty one")
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
    what = f"RabbitMQ {settings.user}@{settings.host}:{settings.port}"
    backend = Backend(
        "core.rabbitmq",
        {
            "broker_protocol": settings.protocol,
            "broker_username": settings.user,
            "broker_password": _password(settings.password, what, ask),
            "broker_host": settings.host,
            "broker_port": settings.port,
            "broker_virtual_host": settings.virtual_host,
        },
    )
    trial = Profile(
        "trial", {"storage": {}, "process_control": {"backend": backend.plugin, "config": backend.settings}}
    )
    if not BrokerFactory(backend.plugin)(trial).check_service_reachable():
        raise ConfigError(
            f"{what} cannot be used: see whether it runs (`rabbitmq-diagnostics ping` there), and whether user, password "
            f"and virtual host are right (`rabbitmqctl authenticate_user {settings.user}`, `rabbitmqctl list_permissions`)"
        )
    return backend


def _password(given: SecretStr | None, what: str, ask: AskPassword) -> str:
    return ask(what) if given is None else given.get_secret_value()


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
